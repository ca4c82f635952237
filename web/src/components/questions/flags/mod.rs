//! Which flags: what one step of each would change in how much is carried, the most helpful first.

mod ask;

use leptos::prelude::*;
use sim_core::answers::flags::{Change, Step};
use sim_core::scenario::AskedFor;
use sim_core::scenario::command::Program;

use self::ask::{FEW_SEEDS, Flags, Row};
use crate::components::live::{When, heard, live};
use crate::components::questions::inquiry::Status;
use crate::components::questions::options::Options;
use crate::components::questions::recent::Recent;
use crate::components::results::parts::CopyButton;
use crate::format::{duration, percent};
use crate::plot::ticks::{self, Unit};
use crate::state::AppState;

/// The whole answer.
#[component]
pub(super) fn FlagsAnswer() -> impl IntoView {
    let state = expect_context::<AppState>();
    let flags = Flags::new(state);
    let recent = expect_context::<Recent>();
    Effect::new(move |was: Option<bool>| {
        let is_running = flags.status.get() == Status::Running;
        if was == Some(true) && flags.status.get_untracked() == Status::Idle {
            recent.keep(state, AskedFor::Flags, untrack(move || sentence(flags)));
        }
        is_running
    });
    let best = Memo::new(move |_| best(flags));
    view! {
        <div class="results-head">
            <h2 id="flags-title" tabindex="-1">"Which flags?"</h2>
            <Options default_seeds=FEW_SEEDS/>
        </div>
        <Progress flags/>
        <div class="results-body" data-testid="flags-body">
            <section class="card" aria-label="Answer">
                <div class="card-body">
                    <div class="verdict" class:verdict-good=move || flags.status.get() == Status::Idle && best.get().is_some()>
                        <p class="verdict-headline" aria-live=move || if flags.status.get() == Status::Running { "off" } else { "polite" } data-testid="flags-headline">
                            <span class="verdict-mark" aria-hidden="true">
                                {move || if flags.status.get() == Status::Running { "…" } else { "✓" }}
                            </span>
                            <span>{move || sentence(flags)}</span>
                        </p>
                        <p class="verdict-line verdict-rule">
                            <span class="chip chip-warn">"SIMULATED, not measured"</span>
                            " Each row is the setup in the form with one flag changed by one step, over the same seeds. Less \
                             than 1 % is not told apart. Steps do not add up: apply one, and the rest are tried again."
                        </p>
                    </div>
                </div>
            </section>
            <section class="card" aria-labelledby="flags-table-title">
                <div class="card-title"><h3 id="flags-table-title">"One step of each flag"</h3></div>
                <div class="card-body"><Steps flags/></div>
            </section>
            <Command flags best/>
        </div>
    }
}

/// The step that helps most, if one does.
fn best(flags: Flags) -> Option<(Step, f64, f64)> {
    let known = flags.rows.get().into_iter().filter_map(|row| Some((flags.effect(&row)?, row)));
    let (effect, row) = known.min_by(|a, b| a.0.best_first(b.0))?;
    let carried = row.carried.and_then(Result::ok).flatten()?;
    matches!(effect, Change::More(_)).then(|| ((*row.step).clone(), carried, effect.share()))
}

fn number(load: f64) -> String {
    ticks::text(Unit::Number, load)
}

fn unit(flags: Flags) -> &'static str {
    flags.base.with(|base| base.as_ref().map_or("requests/s", |base| base.question.unit()))
}

fn sentence(flags: Flags) -> String {
    if let Status::Failed(why) = flags.status.get() {
        return why;
    }
    let Some(base) = flags.base.get() else { return "Trying the setup as it is…".to_owned() };
    let unit = unit(flags);
    let now = base.answer.capacity.map_or_else(|| "nothing".to_owned(), |load| format!("{} {unit}", number(load)));
    let so_far = if flags.status.get() == Status::Running { "So far: " } else { "" };
    match best(flags) {
        Some((step, carried, change)) if change.is_finite() => format!(
            "{so_far}{} helps most: carries {} {unit} instead of {now} (+{}).",
            step.typed(),
            number(carried),
            percent(change)
        ),
        Some((step, carried, _)) => {
            format!("{so_far}{} carries {} {unit} where it was nothing.", step.typed(), number(carried))
        }
        None if flags.status.get() == Status::Running => format!("Carries {now} as it is. Trying steps…"),
        None => format!("No single step helps: {now} is carried as it is."),
    }
}

#[component]
fn Progress(flags: Flags) -> impl IntoView {
    let is_running = Memo::new(move |_| flags.status.get() == Status::Running);
    let counts = Memo::new(move |_| {
        let known = flags.rows.with(|rows| rows.iter().filter(|row| row.carried.is_some()).count());
        let base = usize::from(flags.base.with(Option::is_some));
        (known + base, flags.rows.with(Vec::len) + 1)
    });
    let said = move || {
        let (done, all) = counts.get();
        match flags.status.get() {
            Status::Running => format!("{done} of {all} setups"),
            Status::Cancelled => format!("Cancelled after {done} of {all} setups."),
            Status::Failed(_) => "Not answered.".to_owned(),
            Status::Idle if done > 1 => format!("{all} setups, in {}.", duration(flags.wall_ms.get() / 1000.0)),
            Status::Idle => String::new(),
        }
    };
    view! {
        <div class="question-progress" data-testid="flags-progress">
            <progress
                class="run-progress" aria-label="Setups that are tried" class:is-idle=move || !is_running.get()
                value=move || counts.get().0.to_string() max=move || counts.get().1.to_string()
            ></progress>
            <p class="muted" data-testid="flags-status">{said}</p>
            <When when=Signal::derive(move || is_running.get())>
                <button type="button" class="btn btn-ghost" data-testid="flags-cancel" on:click=heard(move |_| flags.cancel())>
                    "Cancel"
                </button>
            </When>
            <When when=Signal::derive(move || flags.status.get() == Status::Cancelled)>
                <button type="button" class="btn" on:click=heard(move |_| flags.again())>"Try again"</button>
            </When>
        </div>
    }
}

/// The steps, the most helpful first, what is not known at the end.
#[component]
fn Steps(flags: Flags) -> impl IntoView {
    let sorted = move || {
        let mut rows: Vec<(Option<Change>, Row)> =
            flags.rows.get().into_iter().map(|row| (flags.effect(&row), row)).collect();
        rows.sort_by(|(a, _), (b, _)| match (a, b) {
            (Some(a), Some(b)) => a.best_first(*b),
            (a, b) => b.is_some().cmp(&a.is_some()),
        });
        rows
    };
    let most = Memo::new(move |_| {
        let changes =
            flags.rows.get().into_iter().filter_map(|row| flags.effect(&row)).map(|effect| effect.share().abs());
        changes.filter(|change| change.is_finite()).fold(0.05, f64::max)
    });
    view! {
        <div class="table-scroll" tabindex="0" role="region" aria-label="Steps and what they change">
            <table class="table question-table" data-testid="flags-table">
                <thead>
                    <tr>
                        <th scope="col" class="text">"Flag"</th>
                        <th scope="col">"Now"</th>
                        <th scope="col">"Carries, " {move || unit(flags)}</th>
                        <th scope="col">"Change"</th>
                        <th scope="col" class="text"><span class="visually-hidden">"How much"</span></th>
                        <th scope="col"><span class="visually-hidden">"Apply"</span></th>
                    </tr>
                </thead>
                <tbody>
                    {live(move || sorted().into_iter().map(|(effect, row)| step_row(effect, row, most.get())).collect_view())}
                </tbody>
            </table>
        </div>
    }
}

fn step_row(effect: Option<Change>, row: Row, most: f64) -> impl IntoView {
    let state = expect_context::<AppState>();
    let typed = row.step.typed();
    let carried = match &row.carried {
        None => "…".to_owned(),
        Some(Ok(Some(load))) => number(*load),
        Some(Ok(None)) => "nothing".to_owned(),
        Some(Err(_)) => "refused".to_owned(),
    };
    let refused = row.carried.clone().and_then(Result::err);
    let change = match effect {
        None => String::new(),
        Some(Change::Same) => "same".to_owned(),
        Some(Change::Nothing) => "−100 %".to_owned(),
        Some(effect) if !effect.share().is_finite() => "+".to_owned(),
        Some(effect) => format!("{}{}", if effect.share() > 0.0 { "+" } else { "−" }, percent(effect.share().abs())),
    };
    let width = effect.map_or(0.0, |effect| effect.share().abs().min(most) / most * 100.0);
    let (flag, to) = (row.step.flag, row.step.to.clone());
    let apply = move |_| {
        // The flag was taken with the same value when the step was made.
        state.set_flag(flag, &to).ok();
    };
    let can_apply = refused.is_none();
    view! {
        <tr
            class:is-more=matches!(effect, Some(Change::More(_)))
            class:is-less=matches!(effect, Some(Change::Less(_) | Change::Nothing))
            data-testid=format!("flags-row-{flag}")
        >
            <th scope="row" class="text">
                <code class="mono">{typed.clone()}</code>
                {refused.map(|why| view! { <span class="field-help question-why">{why}</span> })}
            </th>
            <td>{row.step.from.clone()}</td>
            <td>{carried}</td>
            <td class="question-change">{change}</td>
            <td class="text question-bars"><span class="question-bar" style=format!("width:{width:.1}%")></span></td>
            <td>
                {can_apply.then(|| view! {
                    <button type="button" class="btn btn-ghost" aria-label=format!("Apply {typed}") on:click=apply>"Apply"</button>
                })}
            </td>
        </tr>
    }
}

/// The engine with the best step, as it is started.
#[component]
fn Command(flags: Flags, best: Memo<Option<(Step, f64, f64)>>) -> impl IntoView {
    let state = expect_context::<AppState>();
    let text = Memo::new(move |_| {
        best.get().map(|(step, ..)| state.command_of(Program::Serve, &step.scenario)).unwrap_or_default()
    });
    let is_known = Memo::new(move |_| flags.status.get() == Status::Idle && best.with(Option::is_some));
    view! {
        <When when=Signal::derive(move || is_known.get())>
            <section class="card" aria-labelledby="flags-command-title">
                <div class="card-title">
                    <h3 id="flags-command-title">"With the step that helps most"</h3>
                    <div class="toolbar"><CopyButton text what="the command" testid="flags-copy-command"/></div>
                </div>
                <div class="card-body">
                    <pre class="report-text mono" tabindex="0" role="region" aria-label="Command" data-testid="flags-command">{text}</pre>
                </div>
            </section>
        </When>
    }
}
