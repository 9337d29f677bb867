//! Precedence and refusals, on a settings struct like the binary's.

use std::collections::BTreeMap;
use std::io::Write;
use std::time::Duration;

use serde::Deserialize;

use super::*;

#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Settings {
    mq: Mq,
    coord: Coord,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Mq {
    bootstrap: String,
    #[serde(with = "humantime_serde")]
    linger: Duration,
    max: u32,
}

impl Default for Mq {
    fn default() -> Self {
        Self { bootstrap: "default".to_owned(), linger: Duration::from_millis(1), max: 5 }
    }
}

#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Coord {
    etcd: Vec<String>,
    labels: BTreeMap<String, String>,
    secret: Option<String>,
    #[serde(skip_serializing)]
    hidden: String,
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
}

fn load_from(file: &str, env: &[(&str, &str)], sets: &[(&str, &str)]) -> Result<Settings, String> {
    let mut temp = tempfile::Builder::new().prefix("settings").suffix(".yaml").tempfile().unwrap();
    temp.write_all(file.as_bytes()).unwrap();
    let path = temp.path().to_owned();
    let sources =
        Sources { file: Some(path.clone()), env: pairs(env), env_prefix: "GOCHAT", sets: pairs(sets) };
    load(&sources).map_err(|e: ConfigError| e.to_string().replace(&*path.display().to_string(), "FILE"))
}

#[test]
fn flags_go_over_the_environment_over_the_file_over_defaults() {
    let file = "# mine\nmq:\n  bootstrap: file\n  max: 6\ncoord:\n";
    assert_eq!(load_from(file, &[], &[]).unwrap().mq.bootstrap, "file");
    let env = [("GOCHAT_MQ__BOOTSTRAP", "env"), ("PATH", "/bin")];
    assert_eq!(load_from(file, &env, &[]).unwrap().mq.bootstrap, "env");
    let all = load_from(file, &env, &[("mq.bootstrap", "flag")]).unwrap();
    assert_eq!((all.mq.bootstrap.as_str(), all.mq.max), ("flag", 6));
    assert_eq!(all.mq.linger, Duration::from_millis(1));
    assert_eq!(load_from("", &[], &[]).unwrap(), Settings::default());
    assert_eq!(load_from("# nothing yet\n", &[], &[]).unwrap(), Settings::default());
}

#[test]
fn values_are_read_as_their_setting_wants_them() {
    let sets = [
        ("mq.bootstrap", "9092"),
        ("mq.linger", "5ms"),
        ("coord.etcd", "http://a:2379, http://b:2379"),
        ("coord.labels.topology.zone", "1"),
        ("coord.hidden", "4711"),
        ("coord.secret", "007"),
    ];
    let settings = load_from("", &[], &sets).unwrap();
    assert_eq!(settings.mq.bootstrap, "9092");
    assert_eq!(settings.mq.linger, Duration::from_millis(5));
    assert_eq!(settings.coord.etcd, ["http://a:2379", "http://b:2379"]);
    assert_eq!(settings.coord.labels.get("topology.zone").unwrap(), "1");
    assert_eq!(settings.coord.hidden, "4711", "a setting that is not printed is still one");
    assert_eq!(load_from("coord: {hidden: x}", &[], &[]).unwrap().coord.hidden, "x");
    assert_eq!(settings.coord.secret.as_deref(), Some("007"));
    let odd = load_from("", &[], &[("mq.bootstrap", "a: [b"), ("coord.secret", "k: v")]).unwrap();
    assert_eq!((odd.mq.bootstrap.as_str(), odd.coord.secret.as_deref()), ("a: [b", Some("k: v")));
    let flow = [("GOCHAT_COORD__ETCD", "[http://a:2379]")];
    assert_eq!(load_from("", &flow, &[]).unwrap().coord.etcd, ["http://a:2379"]);
    assert_eq!(load_from("", &[], &[("mq.bootstrap", "")]).unwrap().mq.bootstrap, "");
}

#[test]
fn an_unknown_setting_is_refused_with_its_place_and_the_nearest_known_one() {
    assert_eq!(
        load_from("mq:\n  bootstap: x\n", &[], &[]).unwrap_err(),
        "unknown setting `mq.bootstap` in FILE; did you mean `mq.bootstrap`?"
    );
    assert_eq!(
        load_from("", &[("GOCHAT_MQQ__MAX", "1")], &[]).unwrap_err(),
        "unknown setting `mqq` in environment variable GOCHAT_MQQ__MAX; did you mean `mq`?"
    );
    assert_eq!(
        load_from("", &[], &[("coord.zookeeper", "x")]).unwrap_err(),
        "unknown setting `coord.zookeeper` in --set; there is coord.etcd, coord.labels, coord.secret"
    );
}

#[test]
fn a_wrong_value_is_refused_with_its_setting_and_its_place() {
    let error = load_from("mq:\n  max: many\n", &[], &[]).unwrap_err();
    assert!(error.starts_with("`mq.max` in FILE: ") && error.contains("many"), "{error}");
    let error = load_from("", &[("GOCHAT_MQ__LINGER", "soon")], &[]).unwrap_err();
    assert!(error.starts_with("`mq.linger` in environment variable GOCHAT_MQ__LINGER: "), "{error}");
    let error = load_from("mq: 5\n", &[], &[]).unwrap_err();
    assert!(error.starts_with("`mq` in FILE: "), "{error}");
    let error = load_from("mq: [\n", &[], &[]).unwrap_err();
    assert!(error.starts_with("FILE: "), "{error}");
}

#[test]
fn a_variable_with_one_underscore_is_a_mistake_only_where_it_would_be_a_setting() {
    assert_eq!(
        load_from("", &[("GOCHAT_MQ_BOOTSTRAP", "x")], &[]).unwrap_err(),
        "environment variable GOCHAT_MQ_BOOTSTRAP is not a setting; did you mean `GOCHAT_MQ__BOOTSTRAP`?"
    );
    assert!(load_from("", &[("GOCHAT_LOGIC_PORT_9001_TCP", "tcp://10.0.0.1:9001")], &[]).is_ok());
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let sources = Sources { file: Some("/nowhere/gochat.yaml".into()), ..Sources::default() };
    let error = load::<Settings>(&sources).unwrap_err();
    assert_eq!(error.to_string(), "settings file \"/nowhere/gochat.yaml\" can't be read");
}
