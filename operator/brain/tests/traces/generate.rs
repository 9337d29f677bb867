//! The six loads as formulas. Numbers are whole, so that every machine writes the same files.

use std::f64::consts::TAU;
use std::fmt::Write;

/// When reports stop in the outage, and when they are back.
pub(crate) const OUT: u32 = 600;
pub(crate) const BACK: u32 = 1_500;

const HEADER: &str = "t_seconds,connections,messages_per_second,skew,events\n";

pub(crate) fn all() -> [(&'static str, String); 6] {
    [
        ("step", step()),
        ("spike", spike()),
        ("sine", sine()),
        ("noise", noise()),
        ("outage", outage()),
        ("leak", leak()),
    ]
}

/// Two and a half times the load from one second to the next, and back after a quarter of an hour.
fn step() -> String {
    "# Two and a half times the load at once, and back.\n".to_owned()
        + HEADER
        + "0,40000,3000,0.4,\n300,100000,7500,,\n1200,40000,3000,,\n2400,,,,\n"
}

/// Everybody writes at once for a minute and a half.
fn spike() -> String {
    "# A goal is scored: for a minute and a half everybody writes.\n".to_owned()
        + HEADER
        + "0,50000,3000,0.4,\n300,60000,14000,0.6,\n390,60000,3500,0.4,\n600,50000,3000,,\n1800,,,,\n"
}

/// Two days in two hours.
fn sine() -> String {
    let mut csv = "# Two waves of an hour.\n".to_owned() + HEADER;
    for at in (0..=7_200).step_by(10) {
        let wave = 0.5 - 0.5 * (TAU * f64::from(at) / 3_600.0).cos();
        let _ = writeln!(
            csv,
            "{at},{:.0},{:.0},{},",
            30_000.0 + 80_000.0 * wave,
            2_000.0 + 8_000.0 * wave,
            skew(at)
        );
    }
    csv
}

/// The same load for an hour, up to a quarter more or less every five seconds.
fn noise() -> String {
    let mut csv = "# A constant load under noise of a quarter.\n".to_owned() + HEADER;
    let mut dice = 7_u64;
    let mut noise = || {
        dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        0.75 + 0.5 * f64::from(u32::try_from(dice >> 32).unwrap()) / f64::from(u32::MAX)
    };
    for at in (0..=3_600).step_by(5) {
        let (connections, messages) = (50_000.0 * noise(), 3_300.0 * noise());
        let _ = writeln!(csv, "{at},{connections:.0},{messages:.0},{},", skew(at));
    }
    csv
}

/// Load doubles, and halves while nobody can see it; and a member of each workload dies in the dark.
fn outage() -> String {
    format!(
        "# Load reports are away for a quarter of an hour, in which the load halves and a member dies.\n{HEADER}\
         0,50000,3500,0.4,\n300,80000,6000,,\n{OUT},,,,metrics_out\n900,40000,3000,,\n1200,,,,member_lost\n\
         {BACK},,,,metrics_back\n2700,,,,\n"
    )
}

/// Clients of a bad version never hang up: a per cent and a half more connections a minute, until they are restarted.
fn leak() -> String {
    let mut csv = "# Connections leak for two hours, then their clients are restarted.\n".to_owned() + HEADER;
    for at in (0..=9_000).step_by(30) {
        let leaked = if at < 7_200 { 700.0 * f64::from(at) / 60.0 } else { 0.0 };
        let _ = writeln!(csv, "{at},{:.0},3000,{},", 40_000.0 + leaked, skew(at));
    }
    csv
}

/// Only in the first row: later ones keep it.
fn skew(at: i32) -> &'static str {
    if at == 0 { "0.4" } else { "" }
}
