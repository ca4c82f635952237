//! What only a browser can show, in a real one (`scripts/test-web.sh`): messages as JavaScript values, a plot as an image,
//! a link in the address. One test runs on the host, too: there and in Wasm the same run has the same digest.

use sim_core::scenario::Scenario;
use wasm_bindgen_test::wasm_bindgen_test;

use crate::protocol::{Reply, Request, RunInput};
use crate::worker::session::{Host, Session};

wasm_bindgen_test::wasm_bindgen_test_configure!(run_in_browser);

const PROFILE: &[u8] = include_bytes!("../../www/profiles/h100-sxm_llama-3.1-8b_bf16_tp1.json");

/// Random lengths, a gamma process, a batch that is too small: most of what a digest can depend on.
const FLAGS: [(&str, &str); 6] = [
    ("num-prompts", "300"),
    ("request-rate", "30"),
    ("burstiness", "0.5"),
    ("random-range-ratio", "0.5"),
    ("max-num-seqs", "32"),
    ("seed", "7"),
];

/// As `profiler simulate` says for [`FLAGS`].
const DIGEST: &str = "891bc93a54241127";

struct Clock;

impl Host for Clock {
    fn wall_clock_ms(&self) -> u64 {
        0
    }
    fn now_ms(&self) -> f64 {
        0.0
    }
    fn progress(&mut self, _done: u32, _total: u32, _sim_time: f64) {}
}

fn input() -> RunInput {
    let flags = Scenario::from_flags(FLAGS.map(|(flag, value)| (flag, Some(value)))).expect("known flags").flags();
    let dataset = Some(vec![0, 1, 254, 255]);
    RunInput { flags, profile_name: "h100".to_owned(), profile: PROFILE.to_vec(), is_of_lockstep: true, dataset }
}

#[wasm_bindgen_test(unsupported = test)]
fn the_same_run_has_the_same_digest_on_the_host_and_in_wasm() {
    let reply = Session::default().handle(Request::Run { id: 1, input: input() }, &mut Clock);
    let Reply::Answer { answer, .. } = reply else { panic!("{reply:?}") };
    assert_eq!(answer.digest, DIGEST);
}

#[cfg(target_family = "wasm")]
mod in_the_browser {
    use js_sys::{Array, Function, Reflect, Uint8Array};
    use sim_core::scenario::link::Link;
    use wasm_bindgen::prelude::*;

    use super::*;
    use crate::files;
    use crate::parcel::{Parcel, Wire};
    use crate::plot::cdf::{CdfPlot, CdfSeries};
    use crate::plot::ticks::Unit;
    use crate::plot::{Frame, SeriesStyle, Theme};
    use crate::protocol::ExportKind;
    use crate::worker::side::answer;

    fn member(of: &JsValue, path: &[&str]) -> JsValue {
        path.iter().fold(of.clone(), |of, name| Reflect::get(&of, &JsValue::from_str(name)).expect("an object"))
    }

    fn packed(message: impl Wire) -> JsValue {
        serde_wasm_bindgen::to_value(&Parcel::of(message)).expect("a message")
    }

    fn unpacked<T: Wire>(value: &JsValue) -> T {
        let parcel: Parcel = serde_wasm_bindgen::from_value(value.clone()).expect("a parcel");
        parcel.open().expect("a message of this type")
    }

    /// The files of a message.
    fn files_of(value: &JsValue) -> Vec<Uint8Array> {
        Array::from(&member(value, &["files"])).iter().map(|file| file.dyn_into().expect("bytes")).collect()
    }

    #[wasm_bindgen_test]
    fn a_request_comes_through_as_it_was_and_its_files_as_bytes() {
        let requests = [
            Request::Run { id: u32::MAX, input: input() },
            Request::Run { id: 0, input: RunInput { dataset: None, flags: Vec::new(), ..input() } },
            Request::Requests { id: 2, sort_by: "ttft".to_owned(), descending: true, offset: 50, limit: 50 },
            Request::Gantt { id: 3, range: Some((0.25, 1e-9)), width: 800, max_requests: 60, engine: 0 },
            Request::Gantt { id: 4, range: None, width: 0, max_requests: 0, engine: 0 },
            Request::Export { id: 5, kind: ExportKind::ChromeTrace, date: "20260102-030405".to_owned(), range: None },
            Request::Read { id: 6, name: "a ☃.json".to_owned(), content: vec![0, 128, 255] },
        ];
        for request in requests {
            assert_eq!(unpacked::<Request>(&packed(request.clone())), request);
        }
        let files = files_of(&packed(Request::Run { id: 1, input: input() }));
        let contents: Vec<Vec<u8>> = files.iter().map(Uint8Array::to_vec).collect();
        assert_eq!(contents, [PROFILE.to_vec(), vec![0, 1, 254, 255]], "profile and dataset are bytes");
    }

    /// What a worker posts: value and list of what changes hands.
    async fn posted(requests: &[Request]) -> Vec<(JsValue, Array)> {
        let sent = Array::new();
        let list = sent.clone();
        let post = Closure::<dyn FnMut(JsValue, Array)>::new(move |value: JsValue, transfer: Array| {
            list.push(&Array::of2(&value, &transfer));
        });
        for request in requests {
            let post = post.as_ref().unchecked_ref::<Function>().clone();
            answer(request.part() as u32, post, packed(request.clone())).await.expect("everything is one module here");
        }
        let pairs = sent.iter().map(|pair| pair.unchecked_into::<Array>());
        pairs.map(|pair| (pair.get(0), pair.get(1).unchecked_into())).collect()
    }

    #[wasm_bindgen_test]
    async fn the_worker_answers_in_values_that_the_page_reads_without_loss() {
        let run = Request::Run { id: 1, input: input() };
        let rows = Request::Requests { id: 2, sort_by: "ttft".to_owned(), descending: true, offset: 0, limit: 7 };
        let gantt = Request::Gantt { id: 3, range: None, width: 800, max_requests: 60, engine: 0 };
        let file =
            Request::Export { id: 4, kind: ExportKind::RequestCsv, date: "20260102-030405".to_owned(), range: None };
        let read = Request::Read { id: 5, name: "p.json".to_owned(), content: PROFILE.to_vec() };
        let bad = Request::Read { id: 6, name: "x".to_owned(), content: Vec::new() };
        let posted = posted(&[run.clone(), rows, gantt, file, read, bad]).await;
        // Progress may come in between.
        let read = posted.iter().map(|(value, transfer)| (unpacked::<Reply>(value), value, transfer));
        let answers: Vec<(Reply, &JsValue, &Array)> =
            read.filter(|(reply, ..)| !matches!(reply, Reply::Progress { .. })).collect();
        assert_eq!(answers.len(), 6, "an answer each");
        for (reply, ..) in &answers {
            assert_eq!(&unpacked::<Reply>(&packed(reply.clone())), reply);
        }
        assert!(matches!(&answers[0].0, Reply::Answer { answer, .. } if answer.digest == DIGEST), "the digest");
        let (_, file, transfer) = &answers[3];
        let [content] = &files_of(file)[..] else { panic!("one file") };
        assert_eq!(JsValue::from(content.buffer()), transfer.get(0), "they change hands instead of being copied");
        assert_eq!(content.to_vec().iter().filter(|byte| **byte == b'\n').count(), 301, "a row per request");
        assert!(
            matches!(&answers[5].0, Reply::Fault { message, .. } if message.starts_with("x: ")),
            "it names the file"
        );
    }

    #[wasm_bindgen_test]
    async fn what_is_no_message_is_answered_with_a_fault_of_number_0() {
        let sent = Array::new();
        let post = Function::new_with_args("value", "globalThis.heard = value");
        answer(0, post, sent.into()).await.expect("everything is one module here");
        let heard = member(&js_sys::global(), &["heard"]);
        assert!(matches!(unpacked(&heard), Reply::Fault { id: 0, .. }), "a fault");
    }

    #[wasm_bindgen_test]
    fn a_plot_is_an_image_that_the_browser_lays_out() {
        let plot = CdfPlot {
            series: vec![CdfSeries {
                name: "<b>mine</b> & co".to_owned(),
                style: SeriesStyle::Current,
                points: vec![(0.1, 0.25), (0.2, 0.5), (0.4, 1.0)],
                percentiles: vec![(50.0, 0.2)],
            }],
            x_unit: Unit::Seconds,
            x_title: "TTFT".to_owned(),
            noun: "requests".to_owned(),
            log_x: false,
            tail: false,
            slo: None,
            x_range: None,
            band: None,
        };
        let document = web_sys::window().and_then(|window| window.document()).expect("a document");
        let place = document.create_element("div").expect("an element");
        document.body().expect("a body").append_child(&place).expect("a child");
        for theme in [Theme::Light, Theme::Dark] {
            place.set_inner_html(&plot.draw(Frame { width: 640, height: 320, theme }).svg);
            let svg = place.first_element_child().expect("an image");
            let size = svg.get_bounding_client_rect();
            assert_eq!((size.width(), size.height()), (640.0, 320.0));
            let drawn = svg.query_selector_all("polyline, path, line").expect("a selector").length();
            assert!(drawn >= 5, "{drawn} lines");
            assert!(svg.query_selector("b").expect("a selector").is_none(), "a name is text");
        }
        place.remove();
    }

    #[wasm_bindgen_test]
    fn a_link_in_the_address_is_read_as_it_was_written() {
        let mut scenario = Scenario::from_flags(FLAGS.map(|(flag, value)| (flag, Some(value)))).expect("known flags");
        scenario.set("dataset-path", Some("a b&c=%#☃.jsonl")).expect("a path");
        let link = Link {
            scenario,
            profile: Some("mine".to_owned()),
            profile_file: Some(PROFILE.to_vec()),
            dataset_file: Some(vec![0, 255, 10]),
            ..Link::default()
        };
        files::set_page_fragment(&link.to_fragment());
        assert_eq!(Link::from_fragment(&files::page_fragment()), Ok(link));
        files::set_page_fragment("#");
    }
}
