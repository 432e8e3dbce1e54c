//! Which measurement makes which row of the table.

use std::sync::atomic::AtomicBool;

use workloads::driver::{Durability, TargetFactory};

use super::data::{Subject, load, manual_checkpoints};
use super::slices::{Pair, alternate};
use super::{
    Figures, Measured, RatioJob, checkpointing, load as loading, old_snapshot, reads, redo, space, writes,
};
use crate::error::{HarnessError, Result};
use crate::probe::flush_probe::FlushProber;

/// Loading is slow, so fewer pairs of it are taken.
const LOAD_PAIRS_MAX: u32 = 3;

/// The two loaded databases, and what makes new ones.
pub(super) struct Bench<'a> {
    job: &'a RatioJob,
    stop: &'a AtomicBool,
    factory: &'a dyn TargetFactory,
    bound_factory: Box<dyn TargetFactory>,
    engine: Subject,
    bound: Subject,
}

impl<'a> Bench<'a> {
    /// Loads the engine and the bound.
    pub(super) fn new(
        job: &'a RatioJob,
        stop: &'a AtomicBool,
        factory: &'a dyn TargetFactory,
    ) -> Result<Self> {
        let bound_factory = crate::drivers::factory(&job.bound)?;
        crate::child::progress::phase("load both", 0, "");
        let directory = job.directory.join("engine");
        let engine = Subject::create(factory, &directory, job, None, manual_checkpoints(factory))?;
        load(&engine, job, job.rows, false)?;
        if factory.capabilities().checkpoint {
            engine.target.checkpoint().map_err(engine.failed())?;
        }
        let bound = Subject::create(
            bound_factory.as_ref(),
            &job.directory.join("bound"),
            job,
            None,
            &[],
        )?;
        load(&bound, job, job.rows, false)?;
        Ok(Self {
            job,
            stop,
            factory,
            bound_factory,
            engine,
            bound,
        })
    }

    /// Measures the row with this identifier; `None` for one that is not known here.
    pub(super) fn measure(&mut self, id: &str) -> Option<Result<Measured>> {
        let job = self.job;
        if self.factory.capabilities().checkpoint
            && let Err(error) = self.engine.target.checkpoint()
        {
            return Some(Err(self.engine.failed()(error)));
        }
        Some(match id {
            "point-get-1" => self.pairs(|subject| reads::point_gets(subject, job, 1)),
            "point-get-2" => self.pairs(|subject| reads::point_gets(subject, job, 2)),
            "range-100" => self.pairs(|subject| reads::ranges(subject, job)),
            "one-row-no-sync" => self.one_row(),
            "mix-no-sync-2" => self.pairs(|subject| writes::mixed(subject, job, 2)),
            "durable-1" => self.durable(1),
            "durable-16" => self.durable(16),
            "durable-64" => self.durable(64),
            "load-1000" => self.load(),
            "wal-bytes" => self.wal_bytes(),
            "file-bytes-none" => self.file_bytes("NONE"),
            "file-bytes-lz4" => self.file_bytes("LZ4"),
            "redo-speed" => self.redo(),
            "checkpoint-throughput" => self.checkpointing(),
            "old-snapshot" => old_snapshot::rates(self.factory, job, self.stop),
            _ => return None,
        })
    }

    /// The structural check of the engine after all this; what is wrong, if anything.
    pub(super) fn verify(&self) -> Result<Option<String>> {
        if !self.factory.capabilities().verify {
            return Ok(None);
        }
        Ok(self
            .engine
            .target
            .verify()
            .err()
            .map(|error| format!("structure: {error}")))
    }

    /// The same slice of the engine and of the in-memory bound.
    fn pairs(&self, figure: impl Fn(&Subject) -> Result<f64>) -> Result<Measured> {
        let pairs = alternate(
            self.job.pairs,
            self.stop,
            || figure(&self.engine),
            || figure(&self.bound),
        )?;
        Ok(pairs.into())
    }

    /// Every transaction of the engine writes; every other one of the bound only reads.
    fn one_row(&self) -> Result<Measured> {
        let pairs = alternate(
            self.job.pairs,
            self.stop,
            || writes::one_row_updates(&self.engine, self.job, self.engine.no_sync(), 1),
            || writes::half_updates(&self.bound, self.job),
        )?;
        let note =
            "every transaction of the engine updates a row; every other one of the bound only reads one";
        Ok(Measured {
            figures: Figures::Pairs(pairs),
            note: Some(note.into()),
        })
    }

    fn durable(&self, writers: u32) -> Result<Measured> {
        if !self
            .factory
            .capabilities()
            .durabilities
            .contains(&Durability::Sync)
        {
            return Err(HarnessError::Run(format!(
                "{} has no durable commits",
                self.factory.name()
            )));
        }
        let directory = &self.job.directory;
        let cannot = |error: std::io::Error| HarnessError::io("probe flushes in", directory, &error);
        let mut prober = FlushProber::create(directory).map_err(cannot)?;
        let mut method = None;
        let pairs = alternate(
            self.job.pairs,
            self.stop,
            || writes::one_row_updates(&self.engine, self.job, self.engine.sync(), writers),
            || {
                let probe = prober.probe(self.job.slice()).map_err(cannot)?;
                method = Some(probe.method.name());
                Ok(probe.flushes_per_second)
            },
        )?;
        let note = method.map(|method| format!("raw flushes by {method}, the faster of two ways"));
        Ok(Measured {
            figures: Figures::Pairs(pairs),
            note,
        })
    }

    fn load(&self) -> Result<Measured> {
        let job = self.job;
        let pairs = alternate(
            job.pairs.min(LOAD_PAIRS_MAX),
            self.stop,
            || loading::rows_per_second(self.factory, job, &job.directory.join("load-engine")),
            || {
                loading::rows_per_second(
                    self.bound_factory.as_ref(),
                    job,
                    &job.directory.join("load-bound"),
                )
            },
        )?;
        let note = "in key order; the engine's load is made durable at its end";
        Ok(Measured {
            figures: Figures::Pairs(pairs),
            note: Some(note.into()),
        })
    }

    fn wal_bytes(&self) -> Result<Measured> {
        let (wal, logical) = space::wal_bytes(&self.engine, self.job)?;
        let figures = Figures::Once {
            engine: wal as f64,
            bound: logical as f64,
        };
        Ok(Measured {
            figures,
            note: Some("logical bytes are key and value".into()),
        })
    }

    fn file_bytes(&self, compression: &str) -> Result<Measured> {
        let directory = self.job.directory.join("space");
        let bytes = space::file_bytes(self.factory, self.job, &directory, compression)?;
        let figures = Figures::Once {
            engine: bytes.data as f64,
            bound: bytes.logical as f64,
        };
        let note = format!(
            "data files after a checkpoint; the log's recycled files, {} whatever the data, are not counted",
            units::bytes(bytes.log)
        );
        Ok(Measured {
            figures,
            note: Some(note),
        })
    }

    fn redo(&self) -> Result<Measured> {
        let pairs = redo::speeds(self.factory, self.job, &self.job.directory, self.stop)?;
        Ok(pairs.into())
    }

    fn checkpointing(&self) -> Result<Measured> {
        if !self.factory.capabilities().checkpoint {
            return Err(HarnessError::Run(format!(
                "{} has no checkpoints",
                self.factory.name()
            )));
        }
        let mut completed = 0;
        let pairs: Vec<Pair> = alternate(
            self.job.pairs,
            self.stop,
            || {
                let (rate, checkpoints) = checkpointing::during_checkpoints(&self.engine, self.job)?;
                completed += checkpoints;
                Ok(rate)
            },
            || writes::mixed(&self.engine, self.job, 2),
        )?;
        let note = format!("{completed} checkpoints, one after another without a pause");
        Ok(Measured {
            figures: Figures::Pairs(pairs),
            note: Some(note),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drivers::factory;
    use reports::criteria::ratio_targets;

    fn job(directory: &std::path::Path) -> RatioJob {
        RatioJob {
            engine: "memory".into(),
            bound: "memory".into(),
            rows: 1000,
            value_size: 20,
            slice_ms: 2,
            pairs: 2,
            seed: 1,
            options: crate::engine_options::EngineOptions::default(),
            directory: directory.to_path_buf(),
            result: directory.join("result.json"),
        }
    }

    #[test]
    fn every_target_has_its_measurement() {
        let directory = tempfile::tempdir().unwrap();
        let (job, stop) = (job(directory.path()), AtomicBool::new(false));
        let engine = factory("memory").unwrap();
        let mut bench = Bench::new(&job, &stop, engine.as_ref()).unwrap();
        for target in ratio_targets() {
            assert!(
                bench.measure(&target.id).is_some(),
                "{} is measured by nothing",
                target.id
            );
        }
        assert!(bench.measure("absent").is_none());
    }

    #[test]
    fn what_an_engine_cannot_do_is_said_and_not_measured() {
        let directory = tempfile::tempdir().unwrap();
        let (job, stop) = (job(directory.path()), AtomicBool::new(false));
        let engine = factory("memory").unwrap();
        let mut bench = Bench::new(&job, &stop, engine.as_ref()).unwrap();
        for id in [
            "durable-16",
            "wal-bytes",
            "file-bytes-lz4",
            "redo-speed",
            "checkpoint-throughput",
            "old-snapshot",
        ] {
            assert!(bench.measure(id).unwrap().is_err(), "{id}");
        }
        assert_eq!(bench.verify().unwrap(), None);
    }
}
