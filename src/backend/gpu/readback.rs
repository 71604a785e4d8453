//! Copies on their way to the host, through staging buffers that are used again.

use super::device::Device;
use crate::backend::{BackendError, Ticket};
use futures_intrusive::channel::shared::{OneshotReceiver, oneshot_channel};
use std::collections::HashMap;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

#[derive(Default)]
pub(super) struct Readback {
    free: Vec<wgpu::Buffer>,
    copies: HashMap<Ticket, Copy>,
    /// Tickets whose copies are encoded but not submitted.
    encoded: Vec<Ticket>,
    next: u64,
}

struct Copy {
    staging: wgpu::Buffer,
    bytes: u64,
    /// Number of the submit that makes the copy, and where wgpu tells that its memory is mapped, once there is one.
    flight: Option<(u64, Mapped)>,
}

type Mapped = OneshotReceiver<Result<(), wgpu::BufferAsyncError>>;

/// Waits until wgpu has told how the mapping went: `None` when it dropped the request.
fn answer(device: &Device, mapped: &Mapped) -> Result<Option<Result<(), wgpu::BufferAsyncError>>, BackendError> {
    let mut answer = pin!(mapped.receive());
    // Waiting for a submit mostly brings the answers to its mappings. Only else is there more to wait for.
    if let Poll::Ready(answer) = answer.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        return Ok(answer);
    }
    device.poll(wgpu::PollType::wait_indefinitely())?;
    Ok(pollster::block_on(answer))
}

/// Sizes are rounded up so that few buffers serve many: to a power of two, above 16 MiB to a multiple of it, but not beyond
/// the device's `most`.
fn staging_size(bytes: u64, most: u64) -> u64 {
    const LARGE: u64 = 16 << 20;
    let rounded = if bytes > LARGE { bytes.next_multiple_of(LARGE) } else { bytes.next_power_of_two().max(256) };
    rounded.min(most & !3).max(bytes)
}

impl Readback {
    /// A staging buffer for `bytes` and whether it had to be created.
    pub(super) fn staging(
        &mut self,
        device: &Device,
        bytes: u64,
        what: &str,
    ) -> Result<(wgpu::Buffer, bool), BackendError> {
        let size = staging_size(bytes, device.limits.max_buffer_size);
        if let Some(position) = self.free.iter().position(|b| b.size() == size) {
            return Ok((self.free.swap_remove(position), false));
        }
        let usage = wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST;
        let label = Some("staging");
        let describe = wgpu::BufferDescriptor { label, size, usage, mapped_at_creation: false };
        let buffer = device.scoped(&format!("a copy of {what}"), size, |device| device.create_buffer(&describe))?;
        Ok((buffer, true))
    }

    /// Notes a copy of `bytes` that was encoded into `staging`.
    pub(super) fn encoded(&mut self, staging: wgpu::Buffer, bytes: u64) -> Ticket {
        let ticket = Ticket(self.next);
        self.next += 1;
        self.copies.insert(ticket, Copy { staging, bytes, flight: None });
        self.encoded.push(ticket);
        ticket
    }

    /// The encoded copies were submitted: asks for their memory as soon as they are made.
    pub(super) fn submitted(&mut self, flight: u64) {
        for ticket in self.encoded.drain(..) {
            let Some(copy) = self.copies.get_mut(&ticket) else { continue };
            let (sender, mapped) = oneshot_channel();
            copy.flight = Some((flight, mapped));
            copy.staging.slice(..copy.bytes).map_async(wgpu::MapMode::Read, move |result| {
                // It fails when the copy was given up, and then nobody asks.
                let _ = sender.send(result);
            });
        }
    }

    /// The submit that a ticket's copy is in: `None` for an unknown ticket, `Some(None)` before it is submitted.
    pub(super) fn flight(&self, ticket: Ticket) -> Option<Option<u64>> {
        self.copies.get(&ticket).map(|c| c.flight.as_ref().map(|(flight, _)| *flight))
    }

    /// The words of a finished copy.
    pub(super) fn take(&mut self, device: &Device, ticket: Ticket) -> Result<Vec<u32>, BackendError> {
        let failed = |why: &str| device.invalid("a read", why);
        let copy = self.copies.remove(&ticket).ok_or_else(|| failed("this ticket was fetched before"))?;
        let (_, mapped) = copy.flight.ok_or_else(|| failed("its copy was not submitted"))?;
        if !matches!(answer(device, &mapped)?, Some(Ok(()))) {
            device.check()?;
            return Err(failed("the copy could not be mapped"));
        }
        let view = copy.staging.slice(..copy.bytes).get_mapped_range().map_err(|e| failed(&e.to_string()))?;
        let mut words = vec![0u32; view.len() / 4];
        bytemuck::cast_slice_mut(&mut words).copy_from_slice(&view);
        drop(view);
        copy.staging.unmap();
        self.free.push(copy.staging);
        Ok(words)
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn staging_sizes_are_few() {
        const MAX: u64 = (1 << 31) - 1;
        let size = |bytes| super::staging_size(bytes, MAX);
        assert_eq!([1, 256, 257, 1 << 20].map(size), [256, 256, 512, 1 << 20]);
        assert_eq!(size((16 << 20) + 4), 32 << 20);
        assert_eq!(size(MAX - 7), MAX - 3);
    }
}
