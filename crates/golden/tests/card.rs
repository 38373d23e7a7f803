//! The networks on this machine's graphics card, real or not: against Keras, and by the self-test. `cargo xtask test card` runs it.

use inkling_core::protocol::EngineRequest;
use inkling_core::spec::{EngineChoice, ModelId, OptimizerId, Recipe};
use inkling_engine::device::{self, Engine};
use inkling_golden::compare::{Way, check};
use inkling_golden::{PUBLISHED, bending, dropping, recording, tiling};
use pollster::block_on;

#[test]
#[ignore = "needs a graphics card"]
fn all_are_keras_s_on_a_graphics_card() {
    // One test for all of it: a card can be opened once.
    let request = EngineRequest::new(EngineChoice::Gpu, ModelId::Compact);
    let engine = block_on(device::open(request, |_| ())).unwrap();
    passes_its_self_test_with_every_network(&engine);
    let device = engine.device;
    assert_eq!(block_on(bending::check(&device)), Ok(()));
    assert_eq!(block_on(dropping::check(&device)), Ok(()));
    assert_eq!(block_on(tiling::check(&device)), Ok(()));
    for tiles in [false, true] {
        inkling_shaders::Gpu::choose_tiles(tiles);
        assert_eq!(block_on(recording::check(&device)), Ok(()), "tiles: {tiles}");
        for model in PUBLISHED {
            let way = Way { device: device.clone(), by_burn: false };
            assert_eq!(block_on(check(model, &way)), Ok(()), "{model}, tiles: {tiles}");
        }
    }
}

/// The command line would use it.
fn passes_its_self_test_with_every_network(engine: &Engine) {
    // What was tested is not tested again: another optimizer makes it another recipe.
    for (tiles, optimizer) in [(false, OptimizerId::Adam), (true, OptimizerId::Sgd)] {
        inkling_shaders::Gpu::choose_tiles(tiles);
        for model in ModelId::ALL {
            let recipe = Recipe { optimizer, ..Recipe::of(*model) };
            assert_eq!(block_on(engine.prepare(*model, &recipe, |_| ())), Ok(()), "{model}, tiles: {tiles}");
        }
    }
}
