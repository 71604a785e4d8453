//! Downloads against a server in this process.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;

use gputrain::data::{FetchError, PUBLIC_SETS, Progress, PublicFile, PublicSet, fetch};

const IMAGES: &str = "images.gz";
const LABELS: &str = "labels.gz";
const SET: PublicSet = PublicSet {
    name: "test",
    base_url: "http://localhost/",
    files: &[
        PublicFile {
            name: IMAGES,
            size: 200_000,
            sha256: "e870fec3223bac8f6147b08b31e6e6e4bb9abd783820bcd212b7737af6a02174",
        },
        PublicFile {
            name: LABELS,
            size: 600,
            sha256: "93817f298f9053fe57e3710b8586b2e5dc98982a0c99d7a99b78dd93f461ae32",
        },
    ],
};

fn content(name: &str) -> Option<Vec<u8>> {
    match name {
        IMAGES => Some((0..200_000u32).map(|i| ((i * 7 + i / 251) % 256) as u8).collect()),
        LABELS => Some(b"labels".repeat(100)),
        _ => None,
    }
}

/// How the server treats requests for the images; labels are always served well.
#[derive(Clone, Copy, PartialEq)]
enum Manners {
    Good,
    IgnoresRange,
    RefusesRange,
    WrongRange,
    NotFound,
    WrongContent,
    TooLong,
    /// Closes the connection after this many bytes.
    Breaks(usize),
}

/// Path and `Range`.
type Request = (String, Option<String>);

struct Server {
    url: String,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Server {
    fn start(manners: Manners) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/data/", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let log = requests.clone();
        thread::spawn(move || {
            for stream in listener.incoming() {
                // A client that hangs up is no matter.
                let _ = serve(stream.unwrap(), manners, &log);
            }
        });
        Server { url, requests }
    }

    fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }
}

fn serve(mut stream: TcpStream, manners: Manners, log: &Mutex<Vec<Request>>) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let request = lines.next().unwrap_or_else(|| Ok(String::new()))?;
    let path = request.split(' ').nth(1).unwrap_or_default().to_owned();
    let mut range = None;
    for line in lines {
        let line = line?;
        if line.is_empty() {
            break;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("range: ") {
            range = Some(value.to_owned());
        }
    }
    log.lock().unwrap().push((path.clone(), range.clone()));
    let name = path.strip_prefix("/data/").unwrap_or_default();
    let manners = if name == IMAGES { manners } else { Manners::Good };
    let from: usize =
        range.as_deref().and_then(|r| r.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok()).unwrap_or(0);
    let Some(mut body) = content(name).filter(|_| manners != Manners::NotFound) else {
        return write!(stream, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    };
    let total = body.len();
    let mut status = "200 OK".to_owned();
    match manners {
        Manners::RefusesRange if from > 0 => {
            status = "416 Range Not Satisfiable".to_owned();
            body.clear();
        }
        Manners::WrongRange if from > 0 => {
            status = format!("206 Partial Content\r\nContent-Range: bytes 0-{}/{total}", total - 1);
        }
        Manners::IgnoresRange => {}
        _ if from > 0 => {
            status = format!("206 Partial Content\r\nContent-Range: bytes {from}-{}/{total}", total - 1);
            body.drain(..from);
        }
        _ => {}
    }
    match manners {
        Manners::WrongContent => body[0] ^= 1,
        Manners::TooLong => body.extend([0; 100]),
        _ => {}
    }
    write!(stream, "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len())?;
    if let Manners::Breaks(after) = manners {
        body.truncate(after);
    }
    stream.write_all(&body)
}

fn run(folder: &Path, server: &Server) -> Result<Vec<std::path::PathBuf>, FetchError> {
    fetch(&SET, folder, &server.url, &mut |_| {})
}

fn assert_complete(folder: &Path) {
    for name in [IMAGES, LABELS] {
        assert!(std::fs::read(folder.join(name)).unwrap() == content(name).unwrap(), "{name} differs");
        assert!(!folder.join(format!("{name}.part")).exists());
    }
}

#[test]
fn a_fresh_download_reports_progress_and_is_not_repeated() {
    let (folder, server) = (tempfile::tempdir().unwrap(), Server::start(Manners::Good));
    let into = folder.path().join("data/test");
    let mut seen: Vec<(String, u64, u64)> = Vec::new();
    let mut progress = |p: Progress<'_>| seen.push((p.file.to_owned(), p.done, p.total));
    let paths = fetch(&SET, &into, &server.url, &mut progress).unwrap();
    assert_eq!(paths, [into.join(IMAGES), into.join(LABELS)]);
    assert_complete(&into);
    assert_eq!(seen.first(), Some(&(IMAGES.to_owned(), 0, 200_000)));
    assert_eq!(seen.last(), Some(&(LABELS.to_owned(), 600, 600)));
    assert!(seen.contains(&(IMAGES.to_owned(), 200_000, 200_000)));
    assert_eq!(server.requests().len(), 2);
    run(&into, &server).unwrap();
    assert_eq!(server.requests().len(), 2, "what is there is not fetched again");
}

#[test]
fn a_damaged_file_is_fetched_again() {
    let (folder, server) = (tempfile::tempdir().unwrap(), Server::start(Manners::Good));
    std::fs::write(folder.path().join(IMAGES), b"something else").unwrap();
    run(folder.path(), &server).unwrap();
    assert_complete(folder.path());
}

#[test]
fn a_broken_download_goes_on_where_it_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let error = run(folder.path(), &Server::start(Manners::Breaks(70_000))).unwrap_err();
    assert!(matches!(error, FetchError::Network { done: 70_000, total: 200_000, .. }), "{error}");
    assert!(!folder.path().join(IMAGES).exists());
    let server = Server::start(Manners::Good);
    run(folder.path(), &server).unwrap();
    assert_complete(folder.path());
    assert_eq!(server.requests()[0], (format!("/data/{IMAGES}"), Some("bytes=70000-".to_owned())));
}

#[test]
fn servers_that_do_not_resume_are_asked_for_the_whole() {
    for manners in [Manners::IgnoresRange, Manners::RefusesRange, Manners::WrongRange] {
        let (folder, server) = (tempfile::tempdir().unwrap(), Server::start(manners));
        let part = folder.path().join(format!("{IMAGES}.part"));
        std::fs::write(&part, &content(IMAGES).unwrap()[..50_000]).unwrap();
        run(folder.path(), &server).unwrap();
        assert_complete(folder.path());
    }
}

#[test]
fn a_part_that_is_whole_or_too_long() {
    let (folder, server) = (tempfile::tempdir().unwrap(), Server::start(Manners::Good));
    std::fs::write(folder.path().join(format!("{IMAGES}.part")), content(IMAGES).unwrap()).unwrap();
    std::fs::write(folder.path().join(format!("{LABELS}.part")), [0; 1000]).unwrap();
    run(folder.path(), &server).unwrap();
    assert_complete(folder.path());
    assert_eq!(server.requests(), [(format!("/data/{LABELS}"), None)]);
}

#[test]
fn wrong_content_is_not_kept() {
    for manners in [Manners::WrongContent, Manners::TooLong] {
        let folder = tempfile::tempdir().unwrap();
        let error = run(folder.path(), &Server::start(manners)).unwrap_err();
        assert!(matches!(error, FetchError::Checksum { .. }), "{error}");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}

#[test]
fn a_part_of_something_else_is_replaced() {
    // One that is as long as the file is not taken for what the server sent.
    for length in [50_000, 200_000] {
        let (folder, server) = (tempfile::tempdir().unwrap(), Server::start(Manners::Good));
        std::fs::write(folder.path().join(format!("{IMAGES}.part")), vec![7; length]).unwrap();
        run(folder.path(), &server).unwrap();
        assert_complete(folder.path());
        assert!(server.requests().contains(&(format!("/data/{IMAGES}"), None)));
    }
}

#[cfg(unix)]
#[test]
fn a_part_that_is_a_link_is_not_written_through() {
    let (folder, server) = (tempfile::tempdir().unwrap(), Server::start(Manners::Good));
    let mine = folder.path().join("mine");
    std::fs::write(&mine, b"mine").unwrap();
    let part = folder.path().join(format!("{IMAGES}.part"));
    std::os::unix::fs::symlink(&mine, &part).unwrap();
    let error = run(folder.path(), &server).unwrap_err().to_string();
    assert!(error.contains("images.gz.part: is a link") && error.contains("remove it"), "{error}");
    assert_eq!(std::fs::read(&mine).unwrap(), b"mine");
}

#[test]
fn a_missing_file_and_a_missing_server_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let error = run(folder.path(), &Server::start(Manners::NotFound)).unwrap_err();
    assert!(matches!(error, FetchError::Status { status: 404, .. }), "{error}");
    // A port that was just free again: nobody answers.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let error = fetch(&SET, folder.path(), &format!("http://127.0.0.1:{port}"), &mut |_| {}).unwrap_err();
    assert!(matches!(error, FetchError::Network { done: 0, .. }), "{error}");
}

/// The real files beside this checkout, if there are, have the sizes and checksums that are expected of a download:
/// a fetch takes them as they are and asks nobody.
#[test]
fn the_checksums_are_those_of_the_public_files() {
    for set in PUBLIC_SETS {
        let real = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data").join(set.name);
        if !real.exists() {
            eprintln!("skipped: {} is not there", real.display());
            return;
        }
        let (folder, server) = (tempfile::tempdir().unwrap(), Server::start(Manners::NotFound));
        for file in set.files {
            assert_eq!(std::fs::copy(real.join(file.name), folder.path().join(file.name)).unwrap(), file.size);
        }
        fetch(set, folder.path(), &server.url, &mut |_| {}).unwrap();
        assert!(server.requests().is_empty());
    }
}
