//! The layer table: output shapes and parameter counts, in the style of Keras's `model.summary()`.

use serde::Serialize;

use super::layers::{Shape, with_inputs};
use super::{Layer, Role};
use crate::spec::ModelId;

/// One row of the layer table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LayerRow {
    /// Name of the layer, unique within the model, such as `conv2d_1`.
    pub name: String,
    /// Keras's class name of the layer.
    pub kind: &'static str,
    /// Height, width and channels, or a single number where height and width are 1.
    pub output_shape: Vec<usize>,
    /// Number of parameters of the layer, running statistics included.
    pub parameters: usize,
}

/// The layer table of a model with its totals.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// The id of the model.
    pub model: String,
    /// One row per layer, in order.
    pub layers: Vec<LayerRow>,
    /// Number of all parameters.
    pub total: usize,
    /// Number of parameters that the optimizer trains.
    pub trainable: usize,
    /// Number of running statistics.
    pub non_trainable: usize,
}

impl Summary {
    /// Builds the table of `layers`.
    pub fn of(model: ModelId, layers: &[Layer]) -> Self {
        let mut summary = Self { model: model.id().into(), layers: vec![], total: 0, trainable: 0, non_trainable: 0 };
        for (name, (layer, input)) in names(layers).into_iter().zip(with_inputs(layers)) {
            let trainable = count(layer.parameters(input));
            let non_trainable = count(layer.statistics(input));
            summary.layers.push(LayerRow {
                name,
                kind: layer.kind(),
                output_shape: keras_shape(layer.output(input)),
                parameters: trainable + non_trainable,
            });
            summary.trainable += trainable;
            summary.non_trainable += non_trainable;
        }
        summary.total = summary.trainable + summary.non_trainable;
        summary
    }
}

/// A name for each layer, numbered from 1 within its kind: `conv2d_1`, `relu_1`, `conv2d_2` …
pub fn names(layers: &[Layer]) -> Vec<String> {
    let same_kind_before = |index: usize| layers[..index].iter().filter(|l| l.kind() == layers[index].kind()).count();
    let name = |index: usize| format!("{}_{}", snake_case(layers[index].kind()), same_kind_before(index) + 1);
    (0..layers.len()).map(name).collect()
}

fn snake_case(kind: &str) -> String {
    kind.to_lowercase()
        .replace("batchnormalization", "batch_norm")
        .replace("maxpooling2d", "max_pool")
        .replace("leakyrelu", "leaky_relu")
}

fn count(arrays: Vec<(Role, Vec<usize>)>) -> usize {
    arrays.iter().map(|(_, shape)| shape.iter().product::<usize>()).sum()
}

/// The shape as Keras prints it, with the channels last.
fn keras_shape(shape: Shape) -> Vec<usize> {
    match shape {
        Shape { channels, height: 1, width: 1 } => vec![channels],
        Shape { channels, height, width } => vec![height, width, channels],
    }
}

impl std::fmt::Display for Summary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "Model: {}", self.model)?;
        writeln!(f, "{:<16} {:<20} {:<16} {:>12}", "Layer", "Type", "Output shape", "Parameters")?;
        for row in &self.layers {
            let shape = row.output_shape.iter().map(usize::to_string).collect::<Vec<_>>().join("×");
            writeln!(f, "{:<16} {:<20} {:<16} {:>12}", row.name, row.kind, shape, row.parameters)?;
        }
        writeln!(f, "Total parameters: {}", self.total)?;
        writeln!(f, "Trainable: {}", self.trainable)?;
        write!(f, "Not trainable: {}", self.non_trainable)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models;

    #[test]
    fn compact_has_the_published_parameter_counts() {
        let summary = models::summary(ModelId::Compact);
        assert_eq!((summary.total, summary.trainable, summary.non_trainable), (13_904, 13_712, 192));
        let counts: Vec<_> = summary.layers.iter().filter(|r| r.parameters > 0).map(|r| r.parameters).collect();
        assert_eq!(counts, [144, 64, 2304, 64, 160, 1440, 64, 2304, 64, 2304, 64, 2304, 64, 2560]);
        assert_eq!(summary.layers.last().map(|row| row.output_shape.clone()), Some(vec![10]));
    }

    #[test]
    fn compact_has_no_bias_and_no_dense_layer() {
        let summary = models::summary(ModelId::Compact);
        assert!(summary.total < 15_000);
        let layers = models::layers(ModelId::Compact);
        assert!(layers.iter().all(|layer| layer.kind() != "Dense"), "no fully connected layer");
        let no_bias = |layer: &Layer| layer.parameters(Shape::IMAGE).iter().all(|(role, _)| *role != Role::Bias);
        assert!(layers.iter().all(no_bias), "no bias anywhere");
    }

    #[test]
    fn names_are_unique() {
        let mut all = names(&models::layers(ModelId::Compact));
        let n = all.len();
        all.sort();
        all.dedup();
        assert_eq!(all.len(), n);
    }
}
