//! The weights that a run recorded: the initial ones, and those after each epoch.

use super::LandscapeError;
use crate::file::FileError;
use crate::model::Model;
use safetensors::tensor::{Dtype, SafeTensors};
use std::path::Path;

/// The path of a run's weights.
#[derive(Debug, Clone, PartialEq)]
pub struct Trajectory {
    /// The epochs, rising: 0 for the initial weights, which runs of earlier versions did not record.
    pub epochs: Vec<u32>,
    /// All weights after each of them: the parameters one after the other, in the model's order.
    pub points: Vec<Vec<f32>>,
}

/// Fewer points than this span no plane.
const LEAST_POINTS: usize = 3;

impl Trajectory {
    /// Reads `weights/` of a run's folder.
    pub fn load(run: &Path, model: &Model) -> Result<Trajectory, LandscapeError> {
        let folder = run.join("weights");
        let io = FileError::at(&folder);
        let entries = match std::fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(LandscapeError::NotRecorded(run.into()));
            }
            Err(error) => return Err(io(error).into()),
        };
        let mut files = Vec::new();
        for entry in entries {
            let name = entry.map_err(&io)?.file_name();
            let epoch = name.to_str().and_then(|name| name.strip_prefix("epoch-")?.strip_suffix(".safetensors"));
            if let Some(epoch) = epoch.and_then(|epoch| epoch.parse::<u32>().ok()) {
                files.push((epoch, folder.join(name)));
            }
        }
        files.sort();
        match files.len() {
            0 => return Err(LandscapeError::NotRecorded(run.into())),
            found if found < LEAST_POINTS => return Err(LandscapeError::TooFew { run: run.into(), found }),
            _ => {}
        }
        let points = files.iter().map(|(_, file)| read(file, model)).collect::<Result<_, _>>()?;
        Ok(Trajectory { epochs: files.iter().map(|(epoch, _)| *epoch).collect(), points })
    }
}

/// The weights of one file, one parameter after the other.
fn read(path: &Path, model: &Model) -> Result<Vec<f32>, LandscapeError> {
    let bytes = std::fs::read(path).map_err(FileError::at(path))?;
    let wrong = |problem: String| LandscapeError::Weights { path: path.into(), problem };
    let file = SafeTensors::deserialize(&bytes).map_err(|error| wrong(format!("cannot be read: {error}")))?;
    let mut point = Vec::with_capacity(model.parameters_count());
    for parameter in &model.parameters {
        let name = &parameter.name;
        let tensor = file.tensor(name).map_err(|_| wrong(format!("it has no {name}")))?;
        if tensor.dtype() != Dtype::F32 {
            return Err(wrong(format!("{name} holds {:?}, not F32", tensor.dtype())));
        }
        let values: Vec<f32> = bytemuck::pod_collect_to_vec(tensor.data());
        if values.len() != parameter.len() {
            let (found, expected) = (values.len(), parameter.len());
            return Err(wrong(format!("{name} has {found} values where the run's model has {expected}")));
        }
        if let Some(place) = values.iter().position(|value| !value.is_finite()) {
            return Err(wrong(format!("{name} is {} at place {place}", values[place])));
        }
        point.extend(values);
    }
    match file.len() {
        count if count == model.parameters.len() => Ok(point),
        count => Err(wrong(format!("it has {count} tensors where the run's model has {}", model.parameters.len()))),
    }
}
