//! `signpost config show`

use anyhow::bail;
use clap::{Args, Subcommand};
use serde_json::json;

use super::CliResult;
use super::operator::Global;
use super::output::Output;
use crate::config::{Config, EffectiveSetting, toml_text};

#[derive(Debug, Subcommand)]
pub(super) enum Arguments {
    /// Show the settings in effect and where each comes from: default, file or environment; secrets are masked
    #[command(
        after_help = "Examples:\n  signpost config show\n  signpost config show mail\n  signpost config show --changed --format json"
    )]
    Show(Show),
}

#[derive(Debug, Args)]
pub(super) struct Show {
    /// Only this section or key, such as `mail` or `server.listen`
    key: Option<String>,
    /// Only settings of the file and the environment
    #[arg(long)]
    changed: bool,
    #[command(flatten)]
    output: Output,
}

pub(super) fn run(global: &Global, arguments: Arguments) -> CliResult {
    let Arguments::Show(Show { key, changed, output }) = arguments;
    let mut settings = Config::effective(&global.config, std::env::vars())?;
    if let Some(wanted) = &key {
        settings.retain(|setting| is_within(setting, wanted));
        if settings.is_empty() {
            bail!("there is no setting {wanted}; docs/reference/configuration.md lists them");
        }
    }
    if changed {
        settings.retain(|setting| setting.source != crate::config::Source::Default);
    }
    output.print(&json!({ "settings": settings }), || {
        let width = settings.iter().map(|setting| setting.key.len()).max().unwrap_or_default();
        for setting in &settings {
            let source = setting.variable.as_deref().unwrap_or(setting.source.as_str());
            let value = if setting.value.is_null() { "(not set)".to_owned() } else { toml_text(&setting.value) };
            outln!("{:<width$}  {value}  [{source}]", setting.key);
        }
    })
}

fn is_within(setting: &EffectiveSetting, wanted: &str) -> bool {
    setting.key == wanted || setting.key.strip_prefix(wanted).is_some_and(|rest| rest.starts_with('.'))
}
