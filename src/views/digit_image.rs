//! Paints a network's input on a canvas: white on black, as in MNIST. It never magnifies; the style sheet does.

use inkling_core::spec::IMAGE_SIDE;
use wasm_bindgen::{Clamped, JsCast};
use web_sys::{CanvasRenderingContext2d, HtmlCanvasElement, ImageData};

/// Paints an image of 784 bytes on a canvas of 28×28 pixels. Does nothing for any other number of bytes.
pub fn paint(canvas: &HtmlCanvasElement, pixels: &[u8]) {
    let rgba: Vec<u8> = pixels.iter().flat_map(|&ink| [ink, ink, ink, 255]).collect();
    let side = IMAGE_SIDE as u32;
    let image = ImageData::new_with_u8_clamped_array_and_sh(Clamped(&rgba), side, side);
    let context = canvas.get_context("2d").ok().flatten().and_then(|it| it.dyn_into::<CanvasRenderingContext2d>().ok());
    if let (Ok(image), Some(context)) = (image, context) {
        // Fails only when the browser has no memory left for the canvas.
        let _ = context.put_image_data(&image, 0.0, 0.0);
    }
}
