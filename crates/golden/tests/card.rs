//! Tests the networks on this machine's graphics card, or on a software adapter: comparisons with Keras, and the
//! self-test. `cargo xtask test card` runs it.

use inkling_core::protocol::EngineRequest;
use inkling_core::spec::{EngineChoice, ModelId, OptimizerId, Recipe};
use inkling_engine::device::{self, Engine};
use inkling_golden::PUBLISHED;
use inkling_golden::compare::{ComputeConfig, check};
use inkling_golden::on_gpu::{augmentation, dropout, elementwise, recorded_steps, tiles};
use pollster::block_on;

#[test]
#[ignore = "needs a graphics card"]
fn networks_match_keras_on_a_graphics_card() {
    // A single test, because a process can open a card only once.
    let request = EngineRequest::new(EngineChoice::Gpu, ModelId::Compact);
    let engine = block_on(device::open(request, |_| ())).unwrap();
    passes_its_self_test_with_every_network(&engine);
    let device = engine.device;
    assert_eq!(block_on(augmentation::check(&device)), Ok(()));
    assert_eq!(block_on(dropout::check(&device)), Ok(()));
    assert_eq!(block_on(elementwise::check(&device)), Ok(()));
    assert_eq!(block_on(tiles::check(&device)), Ok(()));
    for tiles in [false, true] {
        inkling_shaders::Gpu::set_default_tiling(tiles);
        assert_eq!(block_on(recorded_steps::check(&device)), Ok(()), "tiles: {tiles}");
        for model in PUBLISHED {
            let way = ComputeConfig { device: device.clone(), backend: None };
            assert_eq!(block_on(check(model, &way)), Ok(()), "{model}, tiles: {tiles}");
        }
    }
}

/// The command line would accept this card for every network.
fn passes_its_self_test_with_every_network(engine: &Engine) {
    // A workload that was tested is not tested again, so each round has another optimizer.
    for (tiles, optimizer) in [(false, OptimizerId::Adam), (true, OptimizerId::Sgd)] {
        inkling_shaders::Gpu::set_default_tiling(tiles);
        for model in ModelId::ALL {
            let recipe = Recipe { optimizer, ..Recipe::of(*model) };
            assert_eq!(block_on(engine.prepare(*model, &recipe, |_| ())), Ok(()), "{model}, tiles: {tiles}");
        }
    }
}
