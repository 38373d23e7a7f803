//! Training with a worker pool: the result depends neither on the number of peer workers nor on the loss of any.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::mpsc;
use std::thread;

use burn::tensor::{Device, Tensor};
use inkling_core::data::{Dataset, Split, synthetic};
use inkling_core::protocol::{Command, EngineRequest, Event, Fault, Message, PoolReport, Request, RequestId, RunState};
use inkling_core::run::Run;
use inkling_core::spec::{Augment, DatasetId, EngineChoice, ModelId, OptimizerId, Recipe, TrainSpec};
use inkling_engine::batch::{self, Batch, BatchPlan, HostBatch};
use inkling_engine::network::DropoutKey;
use inkling_engine::session::{Answer, Host, PeerWorker, Session};
use inkling_engine::train::{Replica, ShardGradients, Task, Trainer, read_metrics};
use pollster::block_on;

/// A peer worker in its own thread, which receives nothing but tasks.
struct ThreadPeer {
    tasks: mpsc::Sender<(Task, mpsc::Sender<Vec<f32>>)>,
    /// Number of unanswered tasks.
    n_unanswered: Rc<Cell<usize>>,
}

impl ThreadPeer {
    /// A worker that ends after `max_answers` answers, and leaves the next task unanswered.
    fn for_answers(max_answers: usize) -> Self {
        let (tasks, received) = mpsc::channel::<(Task, mpsc::Sender<Vec<f32>>)>();
        thread::spawn(move || {
            let mut replica = Replica::default();
            for (task, answer) in received.iter().take(max_answers) {
                let numbers = [&task.weights[..], &task.pixels[..]].concat();
                answer.send(replica.answer(&task.header, &numbers)).unwrap_or_default();
            }
        });
        Self { tasks, n_unanswered: Rc::default() }
    }
}

impl PeerWorker for ThreadPeer {
    /// Still true for a worker that has ended, until it leaves a task unanswered.
    fn is_ready(&self) -> bool {
        self.n_unanswered.get() == 0
    }

    fn send(&self, task: &Task) -> Answer {
        let (sender, answer) = mpsc::channel();
        let _ = self.tasks.send((task.clone(), sender));
        let n_unanswered = self.n_unanswered.clone();
        n_unanswered.set(n_unanswered.get() + 1);
        Box::pin(async move {
            let numbers = answer.recv().ok()?;
            n_unanswered.set(n_unanswered.get() - 1);
            Some(numbers)
        })
    }
}

/// A host whose peer workers are threads.
#[derive(Default)]
struct ThreadHost {
    messages: RefCell<Vec<Message>>,
    clock_secs: Cell<f64>,
    /// For each peer worker not yet started, the number of tasks that it answers.
    max_answers: RefCell<Vec<usize>>,
    /// Number of peer workers started.
    n_started: Cell<usize>,
}

impl ThreadHost {
    fn with(max_answers: &[usize]) -> Self {
        Self { max_answers: RefCell::new(max_answers.to_vec()), ..Self::default() }
    }
}

impl Host for ThreadHost {
    fn emit(&self, message: Message) {
        self.messages.borrow_mut().push(message);
    }

    fn build(&self) -> &str {
        "test"
    }

    fn now_secs(&self) -> f64 {
        self.clock_secs.set(self.clock_secs.get() + 0.05);
        self.clock_secs.get()
    }

    async fn pretrained(&self, _: ModelId) -> Option<Vec<u8>> {
        None
    }

    async fn dataset(&self, id: &DatasetId) -> Result<(Dataset, Option<String>), Fault> {
        Ok((Dataset { id: id.clone(), train: digits(0, 150), validation: None, test: digits(20_000, 450) }, None))
    }

    fn start_peers(&self, max_peers: usize) -> Vec<Box<dyn PeerWorker>> {
        let mut remaining = self.max_answers.borrow_mut();
        let n_peers = max_peers.min(remaining.len());
        self.n_started.set(self.n_started.get() + n_peers);
        let start = |max_answers| Box::new(ThreadPeer::for_answers(max_answers)) as Box<dyn PeerWorker>;
        remaining.drain(..n_peers).map(start).collect()
    }
}

fn request(command: Command) -> Request {
    Request { id: RequestId(1), command }
}

const UNLIMITED: usize = usize::MAX;

fn digits(first: usize, n: usize) -> Split {
    synthetic::split(synthetic::SEED, first, n)
}

/// 150 images in batches of 64 are 3 steps an epoch, the last of which has 22 images.
fn spec(model: ModelId, workers: usize) -> TrainSpec {
    let default = TrainSpec::of(model);
    let recipe = Recipe { epochs: 2, batch: 64, ..default.recipe };
    TrainSpec { dataset: DatasetId::Synthetic, engine: EngineChoice::Cpu, recipe, workers, ..default }
}

fn run_specs(host: ThreadHost, specs: &[TrainSpec]) -> Session<ThreadHost> {
    let mut session = Session::new(host);
    block_on(async {
        session.handle(request(Command::Open(EngineRequest::new(EngineChoice::Cpu, ModelId::Compact)))).await;
        for spec in specs {
            session.handle(request(Command::Start(spec.clone()))).await;
            while session.is_busy() {
                session.advance().await;
            }
        }
    });
    session
}

/// The bits of the losses of the last run, of its validation losses, and of the numbers of its network.
fn outcome(session: &Session<ThreadHost>) -> (Vec<u64>, Vec<u64>, Vec<u32>) {
    let mut run = Run::default();
    session.host().messages.borrow().iter().for_each(|message| run.apply(message));
    assert_eq!((run.state, run.steps.n_steps(), run.fault), (RunState::Finished, 6, None));
    let (_, arrays) = block_on(session.weights()).unwrap();
    (
        run.steps.entries().iter().map(|step| step.batch.loss.to_bits()).collect(),
        run.epochs.iter().map(|epoch| epoch.validation.loss.to_bits()).collect(),
        arrays.iter().flat_map(|array| &array.values).map(|value| value.to_bits()).collect(),
    )
}

fn pool_reports(session: &Session<ThreadHost>) -> Vec<(usize, usize)> {
    let pool = |message: &Message| match &message.event {
        Event::WorkerPool(PoolReport { workers, lost }) => Some((*workers, *lost)),
        _ => None,
    };
    session.host().messages.borrow().iter().filter_map(pool).collect()
}

#[test]
fn the_number_of_peer_workers_changes_no_result() {
    for model in [ModelId::Compact, ModelId::Classic] {
        let spec = [spec(model, 4)];
        let alone = run_specs(ThreadHost::default(), &spec);
        assert_eq!(pool_reports(&alone), []);
        for n in [1, 3] {
            let shared = run_specs(ThreadHost::with(&vec![UNLIMITED; n]), &spec);
            assert_eq!(outcome(&shared), outcome(&alone), "{model} with {n} peer workers");
            assert_eq!(pool_reports(&shared), [(n + 1, 0)]);
        }
    }
}

#[test]
fn a_lost_worker_changes_no_result() {
    let spec = [spec(ModelId::Compact, 3)];
    let alone = run_specs(ThreadHost::default(), &spec);
    // One worker ends in the first step, the other after its shards of three steps and a part of the validation.
    let shared = run_specs(ThreadHost::with(&[0, 4]), &spec);
    assert_eq!(outcome(&shared), outcome(&alone));
    assert_eq!(pool_reports(&shared), [(3, 0), (2, 1), (1, 2)]);
}

#[test]
fn peer_workers_are_reused_by_the_next_run_and_replaced_when_lost() {
    let runs = [spec(ModelId::Compact, 3), spec(ModelId::Compact, 3), spec(ModelId::Compact, 1)];
    let reused = run_specs(ThreadHost::with(&[UNLIMITED; 9]), &runs[..2]);
    assert_eq!(reused.host().n_started.get(), 2);
    let replaced = run_specs(ThreadHost::with(&[UNLIMITED, 1, UNLIMITED]), &runs);
    assert_eq!(replaced.host().n_started.get(), 3);
    assert_eq!(pool_reports(&replaced), [(3, 0), (2, 1), (3, 0), (1, 0)]);
}

/// Sending its weights would take longer than the step.
#[test]
fn a_network_too_large_to_send_is_not_shared() {
    let mut session = Session::new(ThreadHost::with(&[UNLIMITED; 3]));
    block_on(session.handle(request(Command::Open(EngineRequest::new(EngineChoice::Cpu, ModelId::Compact)))));
    block_on(session.handle(request(Command::Start(spec(ModelId::Wide, 4)))));
    assert_eq!(session.host().n_started.get(), 0);
    let mut run = Run::default();
    session.host().messages.borrow().iter().for_each(|message| run.apply(message));
    assert_eq!(run.plan.map(|plan| plan.spec.workers), Some(1), "the plan states the workers that compute");
}

/// A trainer whose first step is proportional to the gradients: gradient descent with momentum.
fn sgd_trainer(model: ModelId, dropout: f64) -> Trainer {
    let recipe = Recipe { optimizer: OptimizerId::Sgd, dropout, ..Recipe::of(model) };
    Trainer::new(model, 3, &Device::flex()).with_recipe(&recipe)
}

fn numbers(trainer: &Trainer) -> Vec<f64> {
    trainer.network().numbers().into_iter().map(f64::from).collect()
}

/// The change of the network's numbers by a step.
fn change(mut trainer: Trainer, step: impl FnOnce(&mut Trainer)) -> Vec<f64> {
    let before = numbers(&trainer);
    step(&mut trainer);
    numbers(&trainer).iter().zip(&before).map(|(after, before)| after - before).collect()
}

fn step_in_shards(trainer: &mut Trainer, images: &HostBatch, seed: u64, n_shards: usize) -> f64 {
    let tasks = trainer.shards(images, DropoutKey::of(seed, 1), n_shards);
    assert_eq!(tasks.len(), n_shards);
    let gradients = |task: &Task| ShardGradients { n_images: task.header.n_images, numbers: trainer.answer(task) };
    let shards = tasks.iter().map(gradients).collect();
    let batch_metrics = trainer.step_by_shards(shards, 1.0);
    block_on(read_metrics(vec![batch_metrics])).unwrap()[0].0.loss
}

/// The relative distance in the Euclidean norm.
fn distance(actual: &[f64], expected: &[f64]) -> f64 {
    let norm = |values: &mut dyn Iterator<Item = f64>| values.map(|x| x * x).sum::<f64>().sqrt();
    norm(&mut actual.iter().zip(expected).map(|(a, b)| a - b)) / norm(&mut expected.iter().copied())
}

/// `classic` has no BatchNorm: the shards of a batch result in its gradients, also with dropout and label smoothing.
#[test]
fn the_mean_over_shards_equals_the_whole_batch() {
    let recipe = Recipe { label_smoothing: 0.1, augment: Augment::default(), ..Recipe::of(ModelId::Classic) };
    let split = digits(0, 50);
    let images = HostBatch::of(
        &split,
        &BatchPlan::for_training(&(0..50).collect::<Vec<_>>(), &recipe, &mut batch::step_generator(1, 1, 1)),
    );
    let mut whole_loss = 0.0;
    let whole = change(sgd_trainer(ModelId::Classic, 1.0), |trainer| {
        let batch = images.clone().upload(&Device::flex());
        let batch_metrics = trainer.step(&batch, 1.0, DropoutKey::of(1, 1));
        whole_loss = block_on(read_metrics(vec![batch_metrics])).unwrap()[0].0.loss;
    });
    for n_shards in [2, 3, 5] {
        let mut loss = 0.0;
        let shared = change(sgd_trainer(ModelId::Classic, 1.0), |trainer| {
            loss = step_in_shards(trainer, &images, 1, n_shards);
        });
        let error = distance(&shared, &whole);
        assert!(error < 1e-5, "{n_shards} shards: {error:e}");
        assert!((loss - whole_loss).abs() < 1e-5 * whole_loss, "{loss} and {whole_loss}");
    }
    let other = change(sgd_trainer(ModelId::Classic, 1.0), |trainer| {
        step_in_shards(trainer, &images, 2, 2);
    });
    assert!(distance(&other, &whole) > 0.1, "another key drops other units");
}

fn floats(tensor: Tensor<1>) -> Vec<f64> {
    tensor.into_data().iter::<f64>().collect()
}

/// With BatchNorm each shard is normalised as a batch of its own. Gradients, means and variances of the step are the
/// mean over the shards.
#[test]
fn each_shard_is_normalised_by_its_own_statistics() {
    for model in [ModelId::Compact, ModelId::Leaky] {
        let split = digits(0, 40);
        let recipe = Recipe { augment: Augment::default(), ..Recipe::of(model) };
        let all: Vec<usize> = (0..40).collect();
        let images =
            HostBatch::of(&split, &BatchPlan::for_training(&all, &recipe, &mut batch::step_generator(1, 1, 1)));
        let shared = change(sgd_trainer(model, 0.0), |trainer| {
            step_in_shards(trainer, &images, 1, 3);
        });
        let trainer = sgd_trainer(model, 0.0);
        let mut mean = vec![0.0; shared.len()];
        for shard in batch::shards(40, 3) {
            let weight = shard.len() as f64 / 40.0;
            let batch = Batch::gather(&split, &all[shard], &Device::flex());
            let backward = trainer.backward(&batch, DropoutKey::of(1, 1));
            let arrays = backward.gradients.into_iter().chain(backward.statistics).flat_map(floats);
            mean.iter_mut().zip(arrays).for_each(|(mean, number)| *mean += weight * number);
        }
        let n_trained: usize = trainer.network().parameter_slots().iter().map(|slot| slot.size()).sum();
        // Nesterov's first step is 1.9 times the gradient. After one step, the statistics without their initial values
        // are the mean over the shards.
        let expected: Vec<f64> = mean[..n_trained].iter().map(|gradient| -1.9 * gradient).collect();
        let error = distance(&shared[..n_trained], &expected);
        assert!(error < 1e-4, "{model}: gradients differ by {error:e}");
        let before = numbers(&trainer);
        let after: Vec<f64> = shared.iter().zip(&before).map(|(change, before)| change + before).collect();
        let error = distance(&after[n_trained..], &mean[n_trained..]);
        assert!(error < 1e-4, "{model}: statistics differ by {error:e}");
    }
}
