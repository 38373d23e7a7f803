//! `inkling verify` and `inkling scoreboard`: recorded runs repeated and tabulated. It never creates a receipt.

use std::collections::BTreeSet;
use std::fs;

use anyhow::{Context, Result, bail};
use inkling_core::receipts::{self, Likeness, Records};

use super::receipts::{read, text, unreadable};
use super::report::Reporter;
use super::train::train;
use super::{ScoreboardArgs, VerifyArgs};

/// `inkling verify`: repeats a recorded run and reports whether its result is the same.
///
/// # Errors
/// When the receipt cannot be read, the run fails or is interrupted, or the result is different.
pub async fn verify(args: VerifyArgs) -> Result<()> {
    let recorded = read(&args.receipt)?;
    fs::create_dir_all(&args.out)
        .with_context(|| format!("cannot write to {}; choose another --out", args.out.display()))?;
    eprintln!("repeating: {}", recorded.command);
    let repeated = train(recorded.spec.clone(), &args.out, Reporter::new(args.json, args.out.clone()), false).await?;
    let Some(repeated) = repeated else { bail!("interrupted: nothing was compared") };
    let verdict = receipts::compare(&recorded, &repeated);
    print_line!("{verdict}");
    if verdict.likeness == Likeness::Different {
        bail!("the run came out different from {}", args.receipt.display());
    }
    Ok(())
}

/// `inkling scoreboard`: prints the scoreboard of some receipts as Markdown; with `--site` it also writes all receipts
/// into one file for the page.
///
/// # Errors
/// When a receipt cannot be read, or the file cannot be written.
pub fn scoreboard(args: &ScoreboardArgs) -> Result<()> {
    let mut records = Records::default();
    // Sorted, so that the output does not depend on the order in which a shell lists files.
    for path in args.receipts.iter().collect::<BTreeSet<_>>() {
        records.add(&text(path)?).with_context(|| unreadable(path))?;
    }
    if let Some(path) = &args.site {
        fs::write(path, records.to_bytes()?)
            .with_context(|| format!("cannot write {}; choose another --site", path.display()))?;
    }
    print_line!("{}", receipts::scoreboard(&records).trim_end());
    Ok(())
}
