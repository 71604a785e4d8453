//! A set's examples as steps take them. All of them are on the device, or a window of each order is, which the host writes
//! before the steps that read it.

use super::upload;
use crate::backend::{BackendError, LaunchTime, Session};
use crate::data::{Access, Examples};
use crate::ir::{BufferId, ProgramId, SourceBuffers, Window};
use crate::kernel::formula::hash;
use crate::kernel::step::state;
use rayon::prelude::*;
use std::borrow::Borrow;

/// Runs the programs over one set. It follows the step state's place in the epoch, so all that moves it must be told here.
pub(crate) struct Feed<E> {
    stream: Option<Stream<E>>,
}

/// A set that is streamed.
struct Stream<E> {
    orders: Orders<E>,
    data: BufferId,
    /// The epoch under way, and batches taken in it.
    epoch: u32,
    batch: u32,
    /// What the device holds.
    written: Option<Place>,
    /// What is packed in `words`.
    packed: Option<Place>,
    words: Vec<u32>,
}

/// A window of an epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    /// 0 where all epochs have one order.
    epoch: u32,
    /// Windows before it in the epoch.
    number: u32,
}

/// The orders in which the examples are taken.
struct Orders<E> {
    examples: E,
    window: Window,
    row_words: usize,
    /// Batches in a window.
    batches: u32,
    /// Windows in an epoch.
    windows: u32,
    /// Sets of as many examples each that lie one after the other; the orders take them in turn.
    folds: usize,
    /// The seed of each order; none where the examples are not shuffled.
    seeds: Vec<u32>,
    shuffle: bool,
}

impl<E: Borrow<Examples> + Sync> Feed<E> {
    /// Of a set whose epochs take so many steps; what stays on the device has been written.
    pub fn new(source: &SourceBuffers, examples: E, steps: usize) -> Feed<E> {
        let stream = source.window.map(|window| {
            let batches = (window.rows / source.batches.size) as u32;
            let orders = Orders {
                examples,
                window,
                row_words: source.layout.row_words(),
                batches,
                windows: (steps as u32).div_ceil(batches),
                folds: source.layout.folds,
                seeds: Vec::new(),
                shuffle: source.batches.shuffle,
            };
            let (epoch, batch, words) = (0, 0, Vec::new());
            Stream { orders, data: source.data, epoch, batch, written: None, packed: None, words }
        });
        Feed { stream }
    }

    /// Takes over the place in the epoch and the seeds from a step state that was written: (models, COUNTERS).
    pub fn follow(&mut self, counters: &[u32]) {
        let Some(stream) = &mut self.stream else { return };
        (stream.epoch, stream.batch) = (counters[state::EPOCH], counters[state::BATCH]);
        (stream.written, stream.packed) = (None, None);
        if stream.orders.shuffle {
            stream.orders.seeds = counters.chunks(state::COUNTERS).map(|model| model[state::SEED]).collect();
        }
    }

    /// Goes to a batch of the epoch under way, as a step state was made to.
    pub fn seek(&mut self, batch: u32) {
        if let Some(stream) = &mut self.stream {
            stream.batch = batch;
        }
    }

    /// Runs the program that begins an epoch.
    pub fn begin(&mut self, session: &mut dyn Session, program: ProgramId) -> Result<(), BackendError> {
        if let Some(stream) = &mut self.stream {
            (stream.epoch, stream.batch) = (stream.epoch.wrapping_add(1), 0);
        }
        session.run(program, 1)
    }

    /// Runs a program of one step so many times.
    pub fn run(&mut self, session: &mut dyn Session, program: ProgramId, times: u32) -> Result<(), BackendError> {
        match &mut self.stream {
            None => session.run(program, times),
            Some(stream) => stream.run(session, program, times),
        }
    }

    /// Runs a program of one step, timing its launches.
    pub fn profile(&mut self, session: &mut dyn Session, step: ProgramId) -> Result<Vec<LaunchTime>, BackendError> {
        if let Some(stream) = &mut self.stream {
            stream.provide(session)?;
            stream.batch += 1;
        }
        session.profile(step)
    }
}

impl<E: Borrow<Examples> + Sync> Stream<E> {
    fn run(&mut self, session: &mut dyn Session, program: ProgramId, times: u32) -> Result<(), BackendError> {
        let mut left = times;
        while left > 0 {
            let (place, steps) = self.provide(session)?;
            let count = steps.min(left);
            let (orders, words) = (&self.orders, &mut self.words);
            let next = Some(orders.after(place)).filter(|next| *next != place && self.packed != Some(*next));
            // The next window is packed while these steps are handed over, and computed where that takes long.
            let next = next.filter(|_| orders.is_worth_threads());
            rayon::in_place_scope(|scope| {
                if let Some(next) = next {
                    scope.spawn(move |_| orders.pack(next, words));
                }
                session.run(program, count)
            })?;
            self.packed = next.or(self.packed);
            self.batch += count;
            left -= count;
        }
        Ok(())
    }

    /// Sees to it that the device has the window of the coming batch. That window, and the steps left in it.
    fn provide(&mut self, session: &mut dyn Session) -> Result<(Place, u32), BackendError> {
        let batches = self.orders.batches;
        let epoch = if self.orders.shuffle { self.epoch } else { 0 };
        // A rank may take a batch without rows, behind the last window: it reads nothing.
        let place = Place { epoch, number: (self.batch / batches).min(self.orders.windows - 1) };
        if self.written != Some(place) {
            if self.packed != Some(place) {
                self.orders.pack(place, &mut self.words);
            }
            // Writes and runs keep their order: steps that were handed over read the window before this one.
            session.write(self.data, 0, &self.words)?;
            (self.written, self.packed) = (Some(place), None);
        }
        Ok((place, batches - self.batch % batches))
    }
}

impl<E: Borrow<Examples> + Sync> Orders<E> {
    /// The window that is read after another.
    fn after(&self, place: Place) -> Place {
        match (place.number + 1 < self.windows, self.shuffle) {
            (true, _) => Place { number: place.number + 1, ..place },
            (false, true) => Place { epoch: place.epoch.wrapping_add(1), number: 0 },
            (false, false) => Place { number: 0, ..place },
        }
    }

    /// Whether packing a window takes longer than waking threads for it, which a busy machine does late.
    fn is_worth_threads(&self) -> bool {
        self.window.orders * self.window.rows * self.row_words >= WORTH_THREADS
    }

    /// A window as words: (orders, rows, row_words). What lies behind the last example keeps what it held.
    fn pack(&self, place: Place, words: &mut Vec<u32>) {
        let features = &self.examples.borrow().features;
        let (storage, width) = (&features.storage, features.shape.len());
        let is_scattered = self.is_scattered();
        let pack = |rows: &mut [(usize, &mut [u32])]| {
            if is_scattered {
                let values = |example: usize| example * width..(example + 1) * width;
                rows.iter().for_each(|(example, _)| storage.expect(values(*example), Access::Soon));
            }
            rows.iter_mut().for_each(|(example, row)| upload::pack(features, *example, row));
        };
        let mut rows = self.rows(place, words);
        if is_scattered {
            storage.expect(0..storage.len(), Access::Scattered);
        }
        if self.is_worth_threads() {
            rows.par_chunks_mut(PIECE).for_each(pack);
        } else {
            pack(&mut rows);
        }
        if is_scattered {
            storage.expect(0..storage.len(), Access::InOrder);
        }
    }

    /// Whether a window takes its rows from here and there in a file.
    fn is_scattered(&self) -> bool {
        self.shuffle && self.examples.borrow().features.storage.is_mapped()
    }

    /// The examples of a window, and the words that each is to fill: those of a file as they lie in it, so that it is read in one
    /// direction.
    fn rows<'w>(&self, place: Place, words: &'w mut Vec<u32>) -> Vec<(usize, &'w mut [u32])> {
        let Window { rows, orders } = self.window;
        let examples = self.examples.borrow().features.count / self.folds;
        let first = place.number as usize * rows;
        let keys: Vec<u32> = self.seeds.iter().map(|seed| hash::epoch_key(*seed, place.epoch)).collect();
        // The last order's rows behind the last example are not sent at all.
        words.resize(((orders - 1) * rows + rows.min(examples - first)) * self.row_words, 0);
        let one = |(index, row): (usize, &'w mut [u32])| {
            let position = first + index % rows;
            let of_key = |key: &u32| hash::permute(position as u32, examples as u32, *key) as usize;
            let (order, fold) = (index / rows, index / rows % self.folds);
            (position < examples).then(|| (fold * examples + keys.get(order).map_or(position, of_key), row))
        };
        let mut rows: Vec<_> = words.chunks_mut(self.row_words).enumerate().filter_map(one).collect();
        if self.is_scattered() {
            rows.sort_unstable_by_key(|(example, _)| *example);
        }
        rows
    }
}

/// Words of a window from which several threads pay: some hundred microseconds of packing.
const WORTH_THREADS: usize = 1 << 16;
/// Rows that a thread packs at a time; those of a file it has fetched together.
const PIECE: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Features, Numbers, Storage, Targets};
    use crate::model::Shape;
    use std::io::Write;

    const EXAMPLES: usize = 1000;
    const WIDTH: usize = 6;

    /// The orders of two models, in windows of 300 rows.
    fn orders(values: Numbers<u8>, shuffle: bool) -> Orders<Examples> {
        let features = Features { storage: Storage::U8(values), count: EXAMPLES, shape: Shape::Features(WIDTH) };
        let targets = Targets::Classes { labels: vec![0; EXAMPLES], classes: 1 };
        let examples = Examples::unweighted(features, targets);
        let (window, seeds) =
            (Window { rows: 300, orders: if shuffle { 2 } else { 1 } }, if shuffle { vec![3, 4] } else { vec![] });
        Orders { examples, window, row_words: 2, batches: 3, windows: 4, seeds, shuffle, folds: 1 }
    }

    #[test]
    fn a_file_is_read_in_one_direction_and_gives_the_windows_that_memory_gives() {
        let bytes: Vec<u8> = (0..EXAMPLES * WIDTH).map(|index| (index * 31 % 251) as u8).collect();
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&bytes).unwrap();
        let mapped = Numbers::map(&file, 0, bytes.len()).unwrap().unwrap();
        for shuffle in [true, false] {
            let (of_memory, of_file) = (orders(bytes.clone().into(), shuffle), orders(mapped.clone(), shuffle));
            for place in [(0, 0), (7, 1), (7, 3)].map(|(epoch, number)| Place { epoch, number }) {
                let (mut here, mut there) = (Vec::new(), Vec::new());
                let taken: Vec<usize> = of_file.rows(place, &mut there).iter().map(|(example, _)| *example).collect();
                assert!(
                    taken.is_sorted()
                        && taken.len() == if place.number == 3 { 100 } else { 300 } * of_file.window.orders
                );
                of_memory.pack(place, &mut here);
                of_file.pack(place, &mut there);
                assert_eq!(here, there, "shuffle {shuffle}, {place:?}");
                let in_order: Vec<usize> =
                    of_memory.rows(place, &mut here).iter().map(|(example, _)| *example).collect();
                assert_eq!(in_order.is_sorted(), !shuffle);
            }
        }
    }
}
