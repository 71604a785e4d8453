use gputrain::{backend::*, data, model::Model, recipe::Recipe, train::*};
struct P;
impl Observer for P { fn epoch(&mut self, _m: usize, e: &EpochMetrics) { println!("{e:?}"); } }
fn main() {
    let name = std::env::args().nth(1).unwrap();
    let t = std::time::Instant::now();
    let recipe = Recipe::parse(Recipe::builtin("digits").unwrap(), "digits", &[]).unwrap();
    let model = Model::build(&recipe.model, None).unwrap();
    let dataset = data::generate(0, 10000, 2000);
    println!("data {:?}", t.elapsed());
    let scaling = data::Scaling::fit(recipe.data.scale, &dataset.train.features);
    let cpu; let gpu;
    let backend: &dyn Backend = if name == "cpu" { cpu = cpu::CpuBackend::new(); &cpu } else {
      gpu = gpu::GpuBackend::open(&gpu::DeviceChoice{ backend: gpu::BackendName::Vulkan, device: None, checked: false }).unwrap(); &gpu };
    println!("open {:?} {:?}", t.elapsed(), backend.info());
    let members = [Member::of(&recipe)];
    let mut trainer = Trainer::new(backend, TrainerSpec { model: &model, dataset: &dataset, scaling: &scaling, train: &recipe.train, members: &members }).unwrap();
    trainer.set_parameters(0, &model.initialise(0)).unwrap();
    println!("ready {:?}", t.elapsed());
    let stop = trainer.train(&mut P).unwrap();
    let out = trainer.finish().unwrap();
    println!("{stop:?} {:?} {:?} {:?}", out[0].test, t.elapsed(), trainer.host_counters());
}
