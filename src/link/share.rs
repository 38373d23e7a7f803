//! Exports for the user: text to the clipboard, a picture as a download. Nothing is sent over the network.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use gloo::utils::document;
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{CanvasRenderingContext2d, HtmlAnchorElement, HtmlCanvasElement, HtmlImageElement};

/// Pixels of the downloaded picture per SVG unit, so that it stays sharp on high-density screens.
const SCALE: u32 = 2;

#[wasm_bindgen]
extern "C" {
    /// Rejects where there is no clipboard, as on a page without TLS, or where permission is denied.
    #[wasm_bindgen(catch, js_namespace = ["navigator", "clipboard"], js_name = writeText)]
    async fn write_text(text: &str) -> Result<JsValue, JsValue>;
}

/// Copies `text` to the clipboard. Returns whether that succeeded.
pub async fn copy(text: &str) -> bool {
    write_text(text).await.is_ok()
}

/// Downloads an SVG of this width and height as a PNG file called `name`. Returns whether the browser could draw it.
pub async fn download(svg: &str, size: (usize, usize), name: &str) -> bool {
    match draw(svg, size).await {
        Ok(url) => click_link(&url, name).is_ok(),
        Err(_) => false,
    }
}

/// Renders the SVG to a PNG and returns it as a data URL.
async fn draw(svg: &str, (width, height): (usize, usize)) -> Result<String, JsValue> {
    let image = HtmlImageElement::new()?;
    image.set_src(&format!("data:image/svg+xml;base64,{}", BASE64_STANDARD.encode(svg)));
    JsFuture::from(image.decode()).await?;
    let canvas: HtmlCanvasElement = document().create_element("canvas")?.unchecked_into();
    canvas.set_width(width as u32 * SCALE);
    canvas.set_height(height as u32 * SCALE);
    let context = canvas.get_context("2d")?.ok_or(JsValue::NULL)?.unchecked_into::<CanvasRenderingContext2d>();
    let (to_width, to_height) = (canvas.width().into(), canvas.height().into());
    context.draw_image_with_html_image_element_and_dw_and_dh(&image, 0.0, 0.0, to_width, to_height)?;
    canvas.to_data_url_with_type("image/png")
}

fn click_link(url: &str, name: &str) -> Result<(), JsValue> {
    let link: HtmlAnchorElement = document().create_element("a")?.unchecked_into();
    link.set_href(url);
    link.set_download(name);
    link.click();
    Ok(())
}
