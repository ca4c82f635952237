//! Fleet: how many engines answer, who does what, and who decides which of them gets a request.

use leptos::prelude::*;
use sim_core::fleet::router::Policy;
use sim_core::scenario::Scenario;

use super::engine_card::Changed;
use super::field::{FlagField, fields_soon};
use super::fleet_flags::{FLEET, TO_RANKS, TO_REPLICAS, TO_ROLES};
use super::routers::about;
use crate::components::live::{When, heard, live};
use crate::fleet_answer::FleetKind;
use crate::parts::part;
use crate::state::{AppState, Source};

/// What replicas have besides.
const OF_REPLICAS: [&str; 6] =
    ["router-args", "autoscaler", "replica-fails", "retry-max-retries", "migration-limit", "data-parallel-size"];
/// What two roles have besides.
const OF_ROLES: [&str; 15] = [
    "kv-transfer-bandwidth",
    "kv-transfer-latency",
    "kv-transfer-descriptor-time",
    "kv-transfer-failure-rate",
    "kv-load-failure-policy",
    "prefill-args",
    "decode-args",
    "prefill-replica-fails",
    "decode-replica-fails",
    "prefill-autoscaler",
    "decode-autoscaler",
    "retry-max-retries",
    "migration-limit",
    "data-parallel-size",
    "router-args",
];
/// What ranks have besides.
const OF_RANKS: [&str; 3] = ["data-parallel-external-lb", "data-parallel-hybrid-lb", "data-parallel-size-local"];
/// And what those have that step together.
const OF_LOCKSTEP: &str = "dp-sync-interval";

part! {
    /// The card.
    pub(super) fn fleet_card() -> fn() -> AnyView { || view! { <FleetCard/> }.into_any() } in more
}

/// What the flags make of several engines.
fn kind_of(scenario: &Scenario) -> FleetKind {
    let is_above = |flag: &str, least: u32| {
        scenario.value_of(flag).and_then(|value| value.parse::<u32>().ok()).is_some_and(|value| value > least)
    };
    if is_above("prefill-replicas", 0) || is_above("decode-replicas", 0) {
        FleetKind::Roles
    } else if is_above("data-parallel-size", 1) && !is_above("replicas", 1) {
        FleetKind::Ranks
    } else {
        FleetKind::Replicas
    }
}

/// Whether a router chooses among ranks or their nodes.
fn has_router(scenario: &Scenario) -> bool {
    ["data-parallel-external-lb", "data-parallel-hybrid-lb"].iter().any(|flag| scenario.value_of(flag) == Some("true"))
}

/// The fleet in a few words.
fn in_short(scenario: &Scenario) -> String {
    let value = |flag: &str| scenario.value_of(flag).unwrap_or("1").to_owned();
    match kind_of(scenario) {
        FleetKind::Roles => format!("{} prefill, {} decode", value("prefill-replicas"), value("decode-replicas")),
        FleetKind::Ranks => format!("{} ranks", value("data-parallel-size")),
        FleetKind::Replicas if scenario.fleet().replicas > 1 => {
            format!("{} replicas, {}", value("replicas"), scenario.fleet().router.name())
        }
        FleetKind::Replicas => "one engine".to_owned(),
    }
}

/// Leaves the other kinds: their flags go.
fn choose(state: AppState, kind: FleetKind) {
    let (gone, set): (&[&str], &[(&str, &str)]) = match kind {
        FleetKind::Replicas => (&TO_REPLICAS, &[("replicas", "2")]),
        FleetKind::Roles => (&TO_ROLES, &[("prefill-replicas", "1"), ("decode-replicas", "1")]),
        FleetKind::Ranks => (&TO_RANKS, &[("data-parallel-size", "2")]),
    };
    let mut scenario = state.scenario.get_untracked();
    gone.iter().for_each(|flag| scenario.unset(flag));
    for (flag, value) in set {
        // Values that these flags take.
        scenario.set(flag, Some(value)).ok();
    }
    state.set_scenario(scenario);
}

#[component]
fn FleetCard() -> impl IntoView {
    let state = expect_context::<AppState>();
    let kind = Memo::new(move |_| state.scenario.with(kind_of));
    let short = Memo::new(move |_| state.scenario.with(in_short));
    let has_experts = has_experts(state);
    let is_set = state.scenario.with_untracked(|scenario| FLEET.iter().any(|flag| scenario.value_of(flag).is_some()));
    view! {
        <details class="card panel" open=is_set data-testid="card-fleet">
            <summary class="card-title">
                <h2 class="panel-title">"Fleet"</h2>
                <span class="chip" data-testid="fleet-short">{short}</span>
            </summary>
            <div class="card-body">
                <Kinds kind has_experts/>
                {live(move || match kind.get() {
                    FleetKind::Replicas => view! {
                        <FlagField name="replicas"/>
                        <RouterField/>
                        <More flags=&OF_REPLICAS name="Weights, failures, autoscaler, ranks"/>
                    }.into_any(),
                    FleetKind::Roles => view! {
                        <FlagField name="prefill-replicas"/>
                        <FlagField name="decode-replicas"/>
                        <RouterField/>
                        <More flags=&OF_ROLES name="KV transfers, failures, autoscalers, each role's flags"/>
                    }.into_any(),
                    FleetKind::Ranks => view! {
                        <FlagField name="data-parallel-size"/>
                        {OF_RANKS.map(|name| view! { <FlagField name/> }).collect_view()}
                        <When when=Signal::derive(move || has_experts.get() || state.scenario.with(is_interval_given))>
                            <FlagField name=OF_LOCKSTEP/>
                        </When>
                        <When when=Signal::derive(move || state.scenario.with(has_router))>
                            <RouterField/>
                        </When>
                    }.into_any(),
                })}
            </div>
        </details>
    }
}

/// Whether ranks of the model have experts in common. A profile that is whole is of none that has: such ranks are refused.
fn has_experts(state: AppState) -> Memo<bool> {
    Memo::new(move |_| {
        let is_whole = state.source.get() == Source::Whole;
        !is_whole && state.model_facts().is_some_and(|facts| facts.num_experts > 0)
    })
}

fn is_interval_given(scenario: &Scenario) -> bool {
    scenario.value_of(OF_LOCKSTEP).is_some()
}

/// Who does what.
#[component]
fn Kinds(kind: Memo<FleetKind>, has_experts: Memo<bool>) -> impl IntoView {
    let state = expect_context::<AppState>();
    let kinds = [
        (FleetKind::Replicas, "fleet-replicas", "Together"),
        (FleetKind::Roles, "fleet-roles", "P/D apart"),
        (FleetKind::Ranks, "fleet-ranks", "DP ranks"),
    ];
    let said = move || match kind.get() {
        FleetKind::Replicas => "Replicas behind a router, each of which computes prompts and answers.",
        FleetKind::Roles => "Some replicas compute prompts, others load the KV cache from them and answer.",
        FleetKind::Ranks if has_experts.get() => {
            "Ranks of one vLLM that have the model's experts in common and step together."
        }
        FleetKind::Ranks => "Ranks of one vLLM, each with the whole model and steps of its own.",
    };
    view! {
        <fieldset class="field segments-field">
            <legend class="field-label">"Roles"</legend>
            <div class="segments">
                {kinds.map(|(wanted, testid, name)| view! {
                    <label class="segment">
                        <input
                            type="radio" name="fleet-kind" data-testid=testid
                            prop:checked=move || kind.get() == wanted on:change=heard(move |_| choose(state, wanted))
                        />
                        <span>{name}</span>
                    </label>
                }).collect_view()}
            </div>
            <p class="field-help" aria-live="polite" data-testid="fleet-kind-said">{said}</p>
        </fieldset>
    }
}

/// The router, and what it does.
#[component]
fn RouterField() -> impl IntoView {
    let state = expect_context::<AppState>();
    let router = Memo::new(move |_| state.scenario.with(|scenario| scenario.fleet().router.name()));
    let told = move || {
        let policy = Policy::from_name(router.get()).unwrap_or_default();
        let router = about(policy);
        view! {
            <p class="field-help" data-testid="router-about">
                <b>{policy.name()}</b> ": " {router.what} ". " "Source: " {router.source} "."
            </p>
        }
    };
    view! {
        <FlagField name="router"/>
        {live(told)}
        <details class="more" data-testid="router-list">
            <summary>"What each router does"</summary>
            <dl class="router-list">
                {Policy::ALL.map(|policy| { let router = about(policy); view! {
                    <div><dt class="mono">{policy.name()}</dt><dd>{router.what} ". " <span class="muted">{router.source}</span></dd></div>
                } }).collect_view()}
            </dl>
        </details>
    }
}

#[component]
fn More(flags: &'static [&'static str], name: &'static str) -> impl IntoView {
    let state = expect_context::<AppState>();
    let num_changed = Memo::new(move |_| {
        state.scenario.with(|given| flags.iter().filter(|name| given.value_of(name).is_some()).count())
    });
    view! {
        <details class="more" data-testid="fleet-more">
            <summary>{name} <Changed count=num_changed/></summary>
            <div class="settings">{fields_soon(flags.iter().copied())}</div>
        </details>
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(flags: &[(&str, &str)], kind: FleetKind, short: &str) {
        let scenario = Scenario::from_flags(flags.iter().map(|&(flag, value)| (flag, Some(value)))).expect("values");
        assert_eq!((kind_of(&scenario), in_short(&scenario).as_str()), (kind, short), "{flags:?}");
    }

    #[test]
    fn the_fleet_is_what_the_flags_say() {
        check(&[], FleetKind::Replicas, "one engine");
        check(&[("replicas", "1"), ("data-parallel-size", "1")], FleetKind::Replicas, "one engine");
        check(&[("replicas", "4"), ("router", "kv-cost")], FleetKind::Replicas, "4 replicas, kv-cost");
        check(&[("data-parallel-size", "8")], FleetKind::Ranks, "8 ranks");
        check(&[("prefill-replicas", "1"), ("decode-replicas", "3")], FleetKind::Roles, "1 prefill, 3 decode");
    }

    #[test]
    fn every_flag_of_a_fleet_has_its_field_with_one_kind_at_least() {
        let fields = ["replicas", "router", "prefill-replicas", "decode-replicas", "data-parallel-size"];
        let all = fields
            .iter()
            .chain(&OF_REPLICAS)
            .chain(&OF_ROLES)
            .chain(&OF_RANKS)
            .chain([&OF_LOCKSTEP])
            .collect::<Vec<_>>();
        let missing: Vec<_> = FLEET.iter().filter(|flag| !all.contains(flag)).collect();
        assert!(missing.is_empty(), "{missing:?}");
    }
}
