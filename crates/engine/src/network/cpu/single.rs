//! One op by itself, on the CPU.

use std::rc::Rc;

use inkling_kernels::Grid;

use super::tape::{Kept, Tape};
use super::{Arrays, Machine};
use crate::network::flex;
use crate::network::plan::{Cursor, LINEAR, Op};
use crate::network::single::{Given, Outcome, Single};

/// Runs an op in training mode, forward and back.
pub fn run_single(single: &Single, given: &Given) -> Outcome {
    let machine = Rc::new(Machine::of(single.ops.clone()));
    // An array before its own gives the input a gradient.
    let before = (!single.first).then(|| flex::flat(vec![0.0]));
    let cursor = Cursor { parameter: before.iter().count(), statistic: 0 };
    let parameters: Vec<_> = before.into_iter().chain(given.arrays.iter().cloned().map(flex::flat)).collect();
    let shape = single.input;
    let grid = if single.flat {
        Grid::flat(machine.isa, single.n, shape.channels)
    } else {
        Grid::blocked(machine.isa, single.n, shape.channels, shape.height * shape.width)
    };
    let arrays = Arrays { parameters: &parameters, cursor };
    let done = machine.forward_train(single.op(), grid, scattered(&grid, &given.input), &arrays, single.dropout);
    let mut outcome = Outcome { output: gathered(&done.grid, &done.output), ..Outcome::default() };
    if let Kept::Statistics(statistics) = &done.kept {
        outcome.statistics = statistics.to_vec();
    }
    let output_grid = done.grid;
    let output = given.output.as_ref().map_or(done.output, |output| scattered(&output_grid, output));
    let nothing = || (0..single.at).map(|_| None);
    let tape = Tape {
        machine,
        parameters: parameters.clone(),
        n: single.n,
        values: nothing().chain([done.input, Some(output)]).collect(),
        grids: vec![grid; single.at + 1],
        kept: (0..single.at).map(|_| Kept::Nothing).chain([done.kept]).collect(),
        output: output_grid,
    };
    let (gradients, before) =
        tape.back(single.at, &without_pooled_rectifier(single), scattered(&output_grid, &given.gradient), cursor);
    outcome.gradients = gradients;
    outcome.input_gradient = before.filter(|_| !single.first).map(|mut before| {
        if let Some(slope) = rectifier_in_pool(single) {
            let input = scattered(&grid, &given.input);
            inkling_kernels::rectify_backward(grid.isa, &input, &mut before, slope);
        }
        gathered(&grid, &before)
    });
    outcome
}

/// Cards go back through a rectifier in the pool behind it, and not in its own op: the CPU follows, to be compared.
fn without_pooled_rectifier(single: &Single) -> Op {
    let mut op = *single.op();
    if let (Op::Conv { rectifier, .. }, Some(Op::Pool { .. })) = (&mut op, single.ops.get(single.at + 1)) {
        rectifier.slope = LINEAR;
    }
    op
}

fn rectifier_in_pool(single: &Single) -> Option<f32> {
    match (single.op(), single.ops[..single.at].last()) {
        (Op::Pool { .. }, Some(Op::Conv { rectifier, .. })) => Some(rectifier.slope),
        _ => None,
    }
}

fn scattered(grid: &Grid, rows: &[f32]) -> Vec<f32> {
    let mut values = vec![0.0; grid.len()];
    grid.scatter(rows, &mut values);
    values
}

fn gathered(grid: &Grid, values: &[f32]) -> Vec<f32> {
    let mut rows = vec![0.0; grid.n * grid.features()];
    grid.gather(values, &mut rows);
    rows
}
