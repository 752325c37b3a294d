//! Row 9: the directory cannot be read.

use crate::decision::choice::{Destination, Evaluation};
use crate::decision::facts::{Directory, DirectoryPolicy, Facts};

pub(super) const DESCRIPTION: &str =
    "The directory is unavailable. The configuration chooses the legacy login or the maintenance page.";

pub(super) fn evaluate(facts: &Facts) -> Evaluation<'_> {
    if facts.directory != Directory::Unavailable {
        return Evaluation::miss("The directory is available.");
    }
    let named = facts.named_slug();
    let (destination, because) = match facts.directory_policy {
        DirectoryPolicy::Legacy => (
            Destination::LegacyLogin(named),
            "The directory is unavailable. The configuration sends everyone to the legacy login.",
        ),
        DirectoryPolicy::Hold => (
            Destination::HoldPage(named),
            "The directory is unavailable. The configuration shows everyone the maintenance page.",
        ),
    };
    Evaluation::choose(destination, 9, because)
}
