//! Whether a launcher such as mpirun started several processes of this program.

use super::{Exchange, RankError};
use std::sync::Arc;

/// What a launcher says in the environment: its name, and the variables that tell how many processes there are, the number of
/// this one, and its number on this machine.
const LAUNCHERS: [(&str, [&str; 3]); 4] = [
    ("mpirun", ["OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_LOCAL_RANK"]),
    ("mpirun", ["MV2_COMM_WORLD_SIZE", "MV2_COMM_WORLD_RANK", "MV2_COMM_WORLD_LOCAL_RANK"]),
    ("mpirun", ["PMI_SIZE", "PMI_RANK", "MPI_LOCALRANKID"]),
    ("srun", ["SLURM_STEP_NUM_TASKS", "SLURM_PROCID", "SLURM_LOCALID"]),
];

/// One of several processes that a launcher started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Launch {
    /// What started them.
    pub launcher: String,
    /// How many there are.
    pub processes: usize,
    /// The number of this one, from 0.
    pub rank: usize,
    /// Its number among those on this machine; 0 where the launcher does not say.
    pub local_rank: usize,
}

impl Launch {
    /// What the environment tells; nothing where this process is on its own.
    pub fn of_environment() -> Option<Launch> {
        Launch::of(|name| std::env::var(name).ok())
    }

    fn of(variable: impl Fn(&str) -> Option<String>) -> Option<Launch> {
        let number = |name: &str| variable(name)?.parse::<usize>().ok();
        LAUNCHERS.iter().find_map(|(launcher, [processes, rank, local])| {
            let processes = number(processes).filter(|processes| *processes > 1)?;
            let (rank, local_rank) = (number(rank).unwrap_or(0), number(local).unwrap_or(0));
            Some(Launch { launcher: (*launcher).into(), processes, rank, local_rank })
        })
    }
}

/// The number of this process among those on this machine, where a launcher started several.
pub fn local_rank() -> Option<usize> {
    Launch::of_environment().map(|launch| launch.local_rank)
}

/// Joins the other processes that a launcher started; nothing where there are none. Where this program was built without MPI it
/// cannot join them, which is an error.
pub fn join() -> Result<Option<Arc<dyn Exchange>>, RankError> {
    match Launch::of_environment() {
        None => Ok(None),
        Some(launch) => joined(launch).map(Some),
    }
}

#[cfg(feature = "mpi")]
fn joined(launch: Launch) -> Result<Arc<dyn Exchange>, RankError> {
    super::mpi::Mpi::join(launch).map(|mpi| Arc::new(mpi) as Arc<dyn Exchange>)
}

#[cfg(not(feature = "mpi"))]
fn joined(Launch { launcher, processes, .. }: Launch) -> Result<Arc<dyn Exchange>, RankError> {
    Err(RankError::NoMpi { launcher, processes })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_several_processes_are_a_launch() {
        let of = |variables: &[(&str, &str)]| {
            Launch::of(|name| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| value.to_string()))
        };
        assert_eq!(of(&[]), None);
        assert_eq!(of(&[("OMPI_COMM_WORLD_SIZE", "1"), ("PMI_SIZE", "1")]), None);
        assert_eq!(of(&[("SLURM_NTASKS", "8")]), None);
        let launch = |launcher: &str, processes, rank, local_rank| {
            Some(Launch { launcher: launcher.into(), processes, rank, local_rank })
        };
        let open = [("OMPI_COMM_WORLD_SIZE", "4"), ("OMPI_COMM_WORLD_RANK", "3"), ("OMPI_COMM_WORLD_LOCAL_RANK", "1")];
        assert_eq!(of(&open), launch("mpirun", 4, 3, 1));
        assert_eq!(of(&[("PMI_SIZE", "2"), ("PMI_RANK", "1")]), launch("mpirun", 2, 1, 0));
        assert_eq!(of(&[("SLURM_STEP_NUM_TASKS", "8"), ("SLURM_PROCID", "7")]), launch("srun", 8, 7, 0));
    }
}
