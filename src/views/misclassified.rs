//! The mistakes that the network was surest of, each with its image.

use inkling_core::evaluation::Mistake;
use inkling_core::protocol::Picture;
use inkling_core::spec::IMAGE_SIDE;
use leptos::html;
use leptos::prelude::*;

use crate::model::labels;
use crate::views::digit_image::paint;

#[component]
pub fn Mistakes(mistakes: Vec<Mistake>, pictures: Vec<Picture>) -> impl IntoView {
    let pixels = |index| pictures.iter().find(|picture| picture.index == index).map(|picture| picture.pixels.clone());
    let items = mistakes.into_iter().map(|mistake| item(pixels(mistake.index), mistake)).collect_view();
    view! {
        <h3 class="report-title" id="mistakes-title">"Its surest mistakes"</h3>
        <ol class="mistakes" data-testid="mistakes" aria-labelledby="mistakes-title">{items}</ol>
    }
    .into_any()
}

fn item(pixels: Option<Vec<u8>>, mistake: Mistake) -> impl IntoView {
    let Mistake { index, label, read, confidence, .. } = mistake;
    let sure = labels::sure(confidence);
    let which = format!("image {}", labels::count(index as u64));
    let told = format!("Test {which}: a {label} read as {read} with {sure}");
    view! {
        <li class="mistake" data-testid="mistake" data-index=index data-label=label data-read=read data-confidence=confidence>
            {pixels.map(|pixels| image(pixels, told))}
            <span class="mistake-digits">
                <span class="mistake-label">{label}</span>" read as "<span class="mistake-read">{read}</span>
            </span>
            <span class="mistake-sure">{sure}" sure"</span>
            <span class="mistake-which">{which}</span>
        </li>
    }
}

fn image(pixels: Vec<u8>, told: String) -> impl IntoView {
    let canvas = NodeRef::<html::Canvas>::new();
    Effect::new(move |_| {
        if let Some(canvas) = canvas.get() {
            paint(&canvas, &pixels);
        }
    });
    view! {
        <canvas node_ref=canvas class="mistake-image" width=IMAGE_SIDE height=IMAGE_SIDE role="img" aria-label=told
            data-testid="mistake-image"></canvas>
    }
}
