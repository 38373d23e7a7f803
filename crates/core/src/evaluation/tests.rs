//! Evaluations compared with figures computed by hand.

use super::*;

/// A prediction of `digit` with probability `confidence`; the other digits share the rest equally.
fn prediction(digit: usize, confidence: f32) -> Prediction {
    let mut probabilities = [(1.0 - confidence) / 9.0; N_CLASSES];
    probabilities[digit] = confidence;
    Prediction { probabilities }
}

/// Evaluates images given as label, predicted digit and confidence.
fn evaluate(images: &[(u8, usize, f32)]) -> Evaluation {
    let mut evaluator = Evaluator::default();
    for (index, &(label, predicted, confidence)) in images.iter().enumerate() {
        evaluator.add(index, label, &prediction(predicted, confidence));
    }
    evaluator.finish()
}

fn close(found: f64, expected: f64) -> bool {
    (found - expected).abs() < 1e-6
}

#[test]
fn counts_add_up() {
    let evaluation = evaluate(&[(0, 0, 0.9), (0, 0, 0.9), (0, 1, 0.6), (1, 1, 0.9), (2, 1, 0.7)]);
    assert_eq!((evaluation.n_images, evaluation.n_errors, evaluation.accuracy), (5, 2, 0.6));
    assert_eq!((evaluation.confusion[0][..3].to_vec(), evaluation.confusion[2][1]), (vec![2, 1, 0], 1));
    assert_eq!(evaluation.confusion.iter().flatten().sum::<u32>(), 5);
    assert_eq!(evaluation.interval, wilson(3, 5));
    assert_eq!(evaluation.calibration.bins.iter().map(|bin| bin.n_images).sum::<usize>(), 5);
}

#[test]
fn digit_scores_match_hand_computed_figures() {
    let evaluation = evaluate(&[(0, 0, 0.9), (0, 0, 0.9), (0, 1, 0.6), (1, 1, 0.9), (2, 1, 0.7)]);
    let [zero, one, two, three] = [0, 1, 2, 3].map(|digit: usize| evaluation.digits[digit]);
    assert!(close(zero.precision, 1.0) && close(zero.recall, 2.0 / 3.0) && close(zero.f1, 0.8));
    assert!(close(one.precision, 1.0 / 3.0) && close(one.recall, 1.0) && close(one.f1, 0.5));
    assert_eq!((two, three), (DigitScore::default(), DigitScore::default()));
    // The mean is over the three digits that occur; the other seven do not count as 0.
    assert!(close(evaluation.mean.precision, 4.0 / 9.0) && close(evaluation.mean.recall, 5.0 / 9.0));
    assert!(close(evaluation.mean.f1, 1.3 / 3.0));
}

#[test]
fn the_loss_is_the_mean_cross_entropy() {
    // -ln 0.8 for the first image; -ln 0.05 for the second, whose wrong prediction has probability 0.55.
    let evaluation = evaluate(&[(3, 3, 0.8), (4, 5, 0.55)]);
    assert!(close(evaluation.loss, (0.223_143_551 + 2.995_732_274) / 2.0), "{}", evaluation.loss);
    let vanished = evaluate(&[(4, 5, 1.0)]);
    assert!((vanished.loss - 87.3365).abs() < 1e-3, "{}", vanished.loss);
}

#[test]
fn the_most_confident_misclassified_images_come_first() {
    let images: Vec<_> = (0..60).map(|i| (7, if i % 2 == 0 { 1 } else { 7 }, 0.4 + i as f32 / 100.0)).collect();
    let evaluation = evaluate(&images);
    let indices: Vec<_> = evaluation.misclassified.iter().map(|image| image.index).collect();
    assert_eq!(indices, (0..60).filter(|i| i % 2 == 0).rev().take(MAX_MISCLASSIFIED).collect::<Vec<_>>());
    let first = &evaluation.misclassified[0];
    assert_eq!((first.label, first.predicted, first.confidence), (7, 1, 0.98));
    assert_eq!((evaluation.n_errors, first.probabilities[1]), (30, 0.98));
    let equal = evaluate(&[(1, 2, 0.5), (1, 2, 0.5), (1, 2, 0.5)]);
    assert_eq!(equal.misclassified.iter().map(|image| image.index).collect::<Vec<_>>(), [0, 1, 2]);
}

#[test]
fn an_evaluation_without_images_has_no_nan() {
    let evaluation = evaluate(&[]);
    assert_eq!((evaluation.accuracy, evaluation.loss, evaluation.calibration.error), (0.0, 0.0, 0.0));
    assert_eq!((evaluation.mean, evaluation.interval), (DigitScore::default(), Interval { low: 0.0, high: 1.0 }));
}

#[test]
fn a_diverged_network_is_evaluated_without_a_panic() {
    let mut evaluator = Evaluator::default();
    evaluator.add(0, 3, &Prediction { probabilities: [f32::NAN; N_CLASSES] });
    let evaluation = evaluator.finish();
    assert_eq!((evaluation.n_errors, evaluation.misclassified.len()), (1, 1));
    assert!(evaluation.loss.is_nan());
}

#[test]
fn an_ensemble_averages_its_members() {
    let mean = ensemble(&[prediction(3, 0.55), prediction(8, 0.5), prediction(3, 0.6)]);
    assert_eq!(mean.digit(), 3);
    assert!((mean.probabilities[8] - (0.05 + 0.5 + 0.4 / 9.0) / 3.0).abs() < 1e-6);
    assert!((mean.probabilities.iter().sum::<f32>() - 1.0).abs() < 1e-6);
    assert_eq!(ensemble(&[]).probabilities, [0.1; N_CLASSES]);
}

#[test]
fn evaluations_survive_a_round_trip() {
    let evaluation = evaluate(&[(0, 0, 0.9), (2, 1, 0.7)]);
    let bytes = postcard::to_stdvec(&evaluation).unwrap();
    assert_eq!(postcard::from_bytes::<Evaluation>(&bytes).unwrap(), evaluation);
}

#[test]
fn the_terminal_shows_a_line_and_two_tables() {
    let mut images: Vec<_> = (0..10_000).map(|i| ((i % 10) as u8, i % 10, 0.996)).collect();
    images.iter_mut().take(46).for_each(|image| image.1 = 9 - image.1);
    let evaluation = evaluate(&images);
    assert_eq!(
        evaluation.headline(),
        "99.54 % right (95 % interval 99.39 to 99.65 %), 46 errors on 10000 test images, \
         loss 0.0395, calibration error 0.1 %"
    );
    let text = evaluation.to_string();
    assert!(
        text.contains("\ndigit  images  precision    recall        F1\n0        1000    99.60 %   99.50 %   99.55 %\n"),
        "{text}"
    );
    assert!(text.contains("mean    10000    99.54 %   99.54 %   99.54 %\n"), "{text}");
    assert!(text.ends_with("\n   9   4   ·   ·   ·   ·   ·   ·   ·   · 996"), "{text}");
    assert_eq!(text.lines().count(), 1 + 1 + 1 + 11 + 1 + 2 + 10);
}
