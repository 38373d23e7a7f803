//! The chosen network: its layer table in the format of Keras, its parameters, and its published accuracy.

use inkling_core::models::{self, LayerRow, Summary};
use inkling_core::spec::ModelId;
use leptos::prelude::*;

use crate::link::browser;
use crate::link::state::Page;
use crate::model::{model_status, numbers};

/// The disclosure with the layers of the chosen network.
#[component]
pub fn Network(page: Page) -> impl IntoView {
    let model = Memo::new(move |_| page.spec.with(|spec| spec.model));
    // There is room for the table where the page has three columns.
    let open = browser::matches("(min-width: 1120px)");
    let digest = move || format!("{} · {} parameters", model.get(), count(models::summary(model.get()).total));
    view! {
        <details class="settings settings-inner network" open=open>
            <summary class="settings-summary" data-testid="network">
                "Layers "<span class="settings-digest">{digest}</span>
            </summary>
            {move || view! { <Layers model=model.get() /> }}
        </details>
    }
    .into_any()
}

#[component]
fn Layers(model: ModelId) -> impl IntoView {
    let Summary { layers, total, trainable, non_trainable, .. } = models::summary(model);
    view! {
        <p class="network-published" data-testid="published">{model_status::published(model)}</p>
        <table class="table layer-table" data-testid="layer-table">
            <caption class="visually-hidden">{format!("The layers of {model}, from the image to the ten digits")}</caption>
            <thead>
                <tr><th scope="col">"Layer"</th><th scope="col">"Output"</th><th scope="col">"Parameters"</th></tr>
            </thead>
            <tbody>{layers.into_iter().map(row).collect_view()}</tbody>
            <tfoot>
                {sum("Total", "layer-total", total)}
                {sum("Trainable", "layer-trainable", trainable)}
                {sum("Not trainable", "layer-non-trainable", non_trainable)}
            </tfoot>
        </table>
    }
    .into_any()
}

fn row(layer: LayerRow) -> impl IntoView {
    let shape = layer.output_shape.iter().map(usize::to_string).collect::<Vec<_>>().join("×");
    let shape_text = shape.clone();
    view! {
        <tr class="layer-row" class:layer-plain=layer.parameters == 0 data-testid="layer-row" data-layer=layer.kind
            data-shape=shape data-parameters=layer.parameters>
            <th scope="row">{layer.kind}</th>
            <td>{shape_text}</td>
            <td>{count(layer.parameters)}</td>
        </tr>
    }
}

fn sum(name: &'static str, testid: &'static str, n: usize) -> impl IntoView {
    view! { <tr><th scope="row" colspan="2">{name}</th><td data-testid=testid>{count(n)}</td></tr> }
}

fn count(n: usize) -> String {
    numbers::count(n as u64)
}
