//! `gochat migrate`: the database's schema, brought up to date.

use std::process::ExitCode;
use std::time::Instant;

use anyhow::Context as _;
use gochat_chassis::{Health, Shutdown, telemetry};
use gochat_db::Db;

use crate::engines::wait_for;
use crate::say;
use crate::settings::{Settings, SettingsArgs};

pub(crate) async fn run(args: SettingsArgs) -> anyhow::Result<ExitCode> {
    let settings = Settings::load(&args, Vec::new())?;
    if args.print_config {
        say::text(&settings.print()?);
        return Ok(ExitCode::SUCCESS);
    }
    let _telemetry = telemetry::init(&settings.telemetry, "gochat-migrate")?;
    let shutdown = Shutdown::new();
    shutdown.on_signals();
    let began = Instant::now();
    let db = Db::connect(&settings.db).await?;
    if wait_for("database", &Health::new(), &shutdown, || db.ping()).await.is_none() {
        anyhow::bail!("stopped before the database answered");
    }
    let applied = gochat_repo::migrate(&db).await.context("migrate")?;
    db.close().await;
    say::line(&match applied {
        0 => "the schema is up to date".to_owned(),
        1 => format!("1 migration applied in {} ms", began.elapsed().as_millis()),
        n => format!("{n} migrations applied in {} ms", began.elapsed().as_millis()),
    });
    Ok(ExitCode::SUCCESS)
}
