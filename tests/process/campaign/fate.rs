//! What becomes of a gateway: it is killed, crashes, is paused, stopped and started again, and its clock jumps.

use std::path::Path;
use std::time::Duration;

use super::script::Blow;
use super::site::Site;
use crate::chaos::Dice;
use crate::program::{Program, pass};

/// Fakes the wall clock of a program that is started with it, and leaves the monotonic one alone.
const FAKETIME: &str = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1";
/// An armed gateway has so much longer to come to its point.
const ARMED: u32 = 25;
const GLANCE: Duration = Duration::from_millis(40);

/// Whether clocks can jump here.
pub fn clocks_can_jump() -> bool {
    Path::new(FAKETIME).exists()
}

/// Plays the supervisor of one gateway until the faults are over. Gives it back in good health.
pub async fn fate(site: &Site<'_>, gateway: usize, mut dice: Dice) -> Program {
    let (mut program, mut armed) = start(site, gateway, &mut dice);
    while !site.is_over() && !site.script.blows.is_empty() {
        let breath = site.script.breath * if armed { ARMED } else { 1 };
        let until = Duration::from_millis(dice.between(0, 1 + u64::try_from(breath.as_millis()).unwrap_or_default()));
        if lives_for(site, &mut program, until).await {
            (program, armed) = strike(site, gateway, program, armed, &mut dice).await;
        } else {
            crashed(site, program).await;
            (program, armed) = start(site, gateway, &mut dice);
        }
    }
    if armed {
        program.kill().await;
        return site.serve(gateway, None, &[]);
    }
    program
}

/// Starts it, armed with a crash point as a rule. (The moment of its crash is then the point's, not the clock's.)
fn start(site: &Site<'_>, gateway: usize, dice: &mut Dice) -> (Program, bool) {
    let armed = site.blows(Blow::Crash) && dice.between(0, 4) > 0;
    let point = armed.then(|| (site.coverage.next(dice.between(0, 1000)), *dice.one_of(&[100, 100, 100, 40, 15])));
    (site.serve(gateway, point, &[]), armed)
}

/// Lets it live so long. `false`: it has ended by itself before.
async fn lives_for(site: &Site<'_>, program: &mut Program, time: Duration) -> bool {
    let mut left = time;
    while !left.is_zero() && !site.is_over() {
        if program.has_ended() {
            return false;
        }
        let glance = left.min(GLANCE);
        pass(glance).await;
        left -= glance;
    }
    !program.has_ended()
}

/// It has ended: by one of the crash points, or because it could not start.
async fn crashed(site: &Site<'_>, program: Program) {
    let ended = program.end().await;
    match ended.err.lines().rev().find_map(|line| line.strip_prefix("crashed at ")) {
        Some(point) => {
            site.coverage.hit(point);
            site.tally.add("crash at a point", 1);
        }
        None if ended.code == Some(1) => site.tally.add("start in vain", 1),
        None => site.tally.add("unexplained end", 1),
    }
}

async fn strike(site: &Site<'_>, gateway: usize, program: Program, armed: bool, dice: &mut Dice) -> (Program, bool) {
    let blow = *dice.one_of(site.script.blows);
    match blow {
        Blow::Crash if armed => return (program, armed),
        Blow::Kill | Blow::Crash => {
            program.kill().await;
            site.tally.add("kill -9", 1);
        }
        Blow::Pause => {
            program.pause();
            site.tally.add("pause", 1);
            pass(Duration::from_millis(dice.between(50, 3500))).await;
            program.resume();
            return (program, armed);
        }
        Blow::Stop => {
            program.terminate();
            let ended = program.end().await;
            site.tally.add("stop", 1);
            if ended.code.is_none() && ended.err.contains("crashed at ") {
                site.tally.add("crash while stopping", 1);
            }
        }
        Blow::Clock => {
            program.kill().await;
            site.tally.add("kill -9", 1);
            return (clock(site, gateway, dice).await, false);
        }
    }
    start(site, gateway, dice)
}

/// Starts a gateway whose clock jumps twice, and goes right again.
async fn clock(site: &Site<'_>, gateway: usize, dice: &mut Dice) -> Program {
    if !clocks_can_jump() {
        return site.serve(gateway, None, &[]);
    }
    let file = site.house.folder.path().join(format!("clock-{gateway}"));
    let set = |offset: &str| std::fs::write(&file, offset).expect("a file");
    set("+0s");
    let variables = [
        ("LD_PRELOAD", FAKETIME),
        ("FAKETIME_TIMESTAMP_FILE", file.to_str().expect("a path")),
        ("FAKETIME_NO_CACHE", "1"),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
        ("DONT_FAKE_MONOTONIC", "1"),
    ];
    let program = site.serve(gateway, None, &variables);
    for _ in 0..2 {
        dice.wait(700).await;
        let seconds = dice.between(1, 20);
        set(&format!("{}{seconds}s", dice.one_of(&["+", "-"])));
        site.tally.add("clock step", 1);
    }
    dice.wait(700).await;
    set("+0s");
    program
}
