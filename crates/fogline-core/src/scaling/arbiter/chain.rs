//! The count on its way through the arbiter's steps, with what each step made of it.

use crate::scaling::decision::{Step, StepName};

/// The count so far, and the steps that led there.
pub(crate) struct Chain {
    count: u32,
    steps: Vec<Step>,
}

impl Chain {
    pub(crate) const fn new(current: u32) -> Self {
        Self { count: current, steps: Vec::new() }
    }

    pub(crate) const fn count(&self) -> u32 {
        self.count
    }

    /// Takes a step.
    pub(crate) fn step(&mut self, name: StepName, after: u32, note: impl Into<String>) {
        self.steps.push(Step { name, before: self.count, after, note: note.into() });
        self.count = after;
    }

    pub(crate) fn into_steps(self) -> Vec<Step> {
        self.steps
    }

    /// What later steps than the merge did to the count, in words.
    pub(crate) fn limits(&self) -> Vec<&str> {
        let after_merge = |step: &&Step| !matches!(step.name, StepName::Collect | StepName::Merge | StepName::Override);
        let changed = self.steps.iter().filter(after_merge).filter(|step| step.before != step.after);
        changed.map(|step| step.note.as_str()).collect()
    }
}
