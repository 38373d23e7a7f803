//! The misclassified test images with the highest confidence, each with its image.

use inkling_core::evaluation::Misclassified;
use inkling_core::protocol::TestImage;
use inkling_core::spec::IMAGE_SIDE;
use leptos::html;
use leptos::prelude::*;

use crate::model::numbers;
use crate::views::digit_image::paint;

/// The list of misclassified images. Those without pixels are listed without an image.
#[component]
pub fn MisclassifiedList(misclassified: Vec<Misclassified>, misclassified_images: Vec<TestImage>) -> impl IntoView {
    let pixels =
        |index| misclassified_images.iter().find(|image| image.index == index).map(|image| image.pixels.clone());
    let items = misclassified.into_iter().map(|it| item(pixels(it.index), it)).collect_view();
    view! {
        <h3 class="report-title" id="mistakes-title">"Its most confident mistakes"</h3>
        <ol class="mistakes" data-testid="mistakes" aria-labelledby="mistakes-title">{items}</ol>
    }
    .into_any()
}

fn item(pixels: Option<Vec<u8>>, misclassified: Misclassified) -> impl IntoView {
    let Misclassified { index, label, predicted, confidence, .. } = misclassified;
    let sure = numbers::confidence(confidence);
    let which = format!("image {}", numbers::count(index as u64));
    let description = format!("Test {which}: a {label} read as {predicted}, {sure} sure");
    view! {
        <li class="mistake" data-testid="mistake" data-index=index data-label=label data-read=predicted data-confidence=confidence>
            {pixels.map(|pixels| image(pixels, description))}
            <span class="mistake-digits">
                <span class="mistake-label">{label}</span>" read as "<span class="mistake-read">{predicted}</span>
            </span>
            <span class="mistake-sure">{sure}" sure"</span>
            <span class="mistake-which">{which}</span>
        </li>
    }
}

fn image(pixels: Vec<u8>, description: String) -> impl IntoView {
    let canvas = NodeRef::<html::Canvas>::new();
    Effect::new(move |_| {
        if let Some(canvas) = canvas.get() {
            paint(&canvas, &pixels);
        }
    });
    view! {
        <canvas node_ref=canvas class="mistake-image" width=IMAGE_SIDE height=IMAGE_SIDE role="img" aria-label=description
            data-testid="mistake-image"></canvas>
    }
}
