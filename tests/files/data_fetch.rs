//! Downloads against a server in this process.

use std::io::{BufRead, BufReader, Cursor, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread;

use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};
use gputrain::data::{
    DataError, FetchError, PUBLIC_SETS, Progress, PublicFile, PublicSet, Unpacking, fetch, read_array, unpack,
};
use sha2::{Digest, Sha256};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

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
    instead: None,
    unpacking: Unpacking::Nothing,
};

fn content(name: &str) -> Option<Vec<u8>> {
    match name {
        IMAGES => Some((0..200_000u32).map(|i| ((i * 7 + i / 251) % 256) as u8).collect()),
        LABELS => Some(b"labels".repeat(100)),
        CIFAR => Some(cifar()),
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
    /// Sends to an encrypted address, its own.
    Encrypted,
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
    if manners == Manners::Encrypted {
        let to = format!("https://{}/", stream.local_addr()?);
        return write!(
            stream,
            "HTTP/1.1 301 Moved Permanently\r\nLocation: {to}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        );
    }
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
            continue;
        }
        let (folder, server) = (tempfile::tempdir().unwrap(), Server::start(Manners::NotFound));
        for file in set.files {
            assert_eq!(std::fs::copy(real.join(file.name), folder.path().join(file.name)).unwrap(), file.size);
        }
        fetch(set, folder.path(), &server.url, &mut |_| {}).unwrap();
        assert!(server.requests().is_empty());
    }
}

const CIFAR: &str = "cifar-10-binary.tar.gz";

/// A tar archive of these files.
fn tar(files: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut archive = Vec::new();
    for (name, bytes) in files {
        let mut header = [0; 512];
        header[..name.len()].copy_from_slice(name.as_bytes());
        header[124..135].copy_from_slice(format!("{:011o}", bytes.len()).as_bytes());
        header[156] = b'0';
        archive.extend(header);
        archive.extend(bytes);
        archive.resize(archive.len().next_multiple_of(512), 0);
    }
    archive.extend([0; 1024]);
    archive
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(bytes).unwrap();
    packed.finish().unwrap()
}

/// The value of a picture's pixel.
fn pixel(picture: usize, channel: usize, row: usize, column: usize) -> u8 {
    (picture * 101 + channel * 50 + row * 7 + column * 3) as u8
}

/// A picture channel by channel, row by row.
fn planes(picture: usize) -> Vec<u8> {
    let place = |i: usize| pixel(picture, i / 1024, i / 32 % 32, i % 32);
    (0..3072).map(place).collect()
}

fn record(labels: &[u8], picture: usize) -> Vec<u8> {
    [labels, &planes(picture)].concat()
}

/// Six pictures to train on, whose files lie in another order than they count, and one to test with.
fn cifar() -> Vec<u8> {
    gzip(&tar(&[
        ("cifar-10-batches-bin/batches.meta.txt", b"a\nb\nc\nd\ne\nf\ng\nh\ni\nj\n\n".to_vec()),
        ("cifar-10-batches-bin/data_batch_2.bin", record(&[9], 2)),
        ("cifar-10-batches-bin/data_batch_1.bin", [record(&[3], 0), record(&[0], 1)].concat()),
        ("cifar-10-batches-bin/test_batch.bin", record(&[7], 3)),
        ("cifar-10-batches-bin/data_batch_3.bin", record(&[1], 4)),
        ("cifar-10-batches-bin/data_batch_5.bin", record(&[2], 6)),
        ("cifar-10-batches-bin/data_batch_4.bin", record(&[4], 5)),
    ]))
}

/// A set whose files lie in a folder.
fn set(name: &'static str, unpacking: Unpacking, files: &[(&'static str, Vec<u8>)]) -> (PublicSet, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let file = |(name, bytes): &(&'static str, Vec<u8>)| {
        std::fs::write(folder.path().join(name), bytes).unwrap();
        let sha256 = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        PublicFile { name, size: bytes.len() as u64, sha256: sha256.leak() }
    };
    let files: Vec<PublicFile> = files.iter().map(file).collect();
    (PublicSet { name, base_url: "", files: files.leak(), instead: None, unpacking }, folder)
}

/// Unpacks the files of a set that lie in a folder.
fn unpack_in(set: &PublicSet, folder: &Path) -> Result<Vec<PathBuf>, DataError> {
    let files: Vec<PathBuf> = set.files.iter().map(|file| folder.join(file.name)).collect();
    unpack(set, &files, folder)
}

/// Pictures (N, 32, 32, 3) and labels are those of these numbers.
fn assert_pictures(file: &Path, split: &str, pictures: &[usize], labels: &[f32]) {
    let read = |what: &str| read_array(&format!("{}#{what}_{split}", file.display())).unwrap();
    let (x, y) = (read("x"), read("y"));
    assert_eq!(x.shape(), [pictures.len(), 32, 32, 3]);
    assert_eq!(y.to_f32(), labels);
    let place = |i: usize| pixel(pictures[i / 3072], i % 3, i % 3072 / 96, i / 3 % 32);
    assert_eq!(x.bytes(), (0..x.len()).map(place).collect::<Vec<u8>>());
}

#[test]
fn cifar_comes_from_a_server_and_becomes_arrays() {
    let (set, _made) = set("cifar10", Unpacking::Cifar, &[(CIFAR, cifar())]);
    let (folder, server) = (tempfile::tempdir().unwrap(), Server::start(Manners::Good));
    let files = fetch(&set, folder.path(), &server.url, &mut |_| {}).unwrap();
    let written = unpack(&set, &files, folder.path()).unwrap();
    assert_eq!(written, [folder.path().join("cifar10.npz")]);
    assert_pictures(&written[0], "train", &[0, 1, 2, 4, 5, 6], &[3.0, 0.0, 9.0, 1.0, 4.0, 2.0]);
    assert_pictures(&written[0], "test", &[3], &[7.0]);
}

#[test]
fn cifar_100_has_its_fine_classes() {
    let archive = gzip(&tar(&[
        ("cifar-100-binary/train.bin", [record(&[19, 99], 0), record(&[2, 41], 1)].concat()),
        ("cifar-100-binary/test.bin", record(&[3, 0], 2)),
    ]));
    let (set, folder) = set("cifar100", Unpacking::Cifar, &[("cifar-100-binary.tar.gz", archive)]);
    let written = unpack_in(&set, folder.path()).unwrap();
    assert_pictures(&written[0], "train", &[0, 1], &[99.0, 41.0]);
    assert_pictures(&written[0], "test", &[2], &[0.0]);
    let coarse = read_array(&format!("{}#y_train_coarse", written[0].display())).unwrap();
    assert_eq!(coarse.to_f32(), [19.0, 2.0]);
}

/// Who has the other archive already downloads nothing; one that is damaged is not taken for it.
#[test]
fn an_archive_that_holds_the_same_is_taken_in_its_place() {
    let (mut set, folder) = set("cifar10", Unpacking::Cifar, &[("other.tar.gz", cifar())]);
    set.instead = Some(set.files[0]);
    set.files = &[PublicFile { name: "gone.tar.gz", size: 1, sha256: "" }];
    let server = Server::start(Manners::NotFound);
    let files = fetch(&set, folder.path(), &server.url, &mut |_| {}).unwrap();
    assert_eq!((&files[..], server.requests()), (&[folder.path().join("other.tar.gz")][..], vec![]));
    assert_pictures(&unpack(&set, &files, folder.path()).unwrap()[0], "test", &[3], &[7.0]);
    std::fs::write(&files[0], b"damaged").unwrap();
    let error = fetch(&set, folder.path(), &server.url, &mut |_| {}).unwrap_err();
    assert!(matches!(error, FetchError::Status { status: 404, .. }), "{error}");
}

/// An array of bytes as MATLAB 5 writes it, packed.
fn matlab_array(name: &str, shape: &[u32], values: &[u8]) -> Vec<u8> {
    let element = |kind: u32, bytes: &[u8]| {
        let mut element = [kind.to_le_bytes(), (bytes.len() as u32).to_le_bytes()].concat();
        element.extend(bytes);
        element.resize(element.len().next_multiple_of(8), 0);
        element
    };
    let shape: Vec<u8> = shape.iter().flat_map(|n| n.to_le_bytes()).collect();
    // A name of one letter stands in the tag.
    let mut short = (1u32 | 1 << 16).to_le_bytes().to_vec();
    short.extend([name.as_bytes()[0], 0, 0, 0]);
    let parts = [element(6, &[9, 0, 0, 0, 0, 0, 0, 0]), element(5, &shape), short, element(2, values)].concat();
    let mut packed = ZlibEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(&element(14, &parts)).unwrap();
    let packed = packed.finish().unwrap();
    [&15u32.to_le_bytes()[..], &(packed.len() as u32).to_le_bytes(), &packed].concat()
}

fn matlab(pictures: &[usize], labels: &[u8]) -> Vec<u8> {
    let mut file = [b"MATLAB 5.0 MAT-file".to_vec(), vec![b' '; 105], vec![0, 1], b"IM".to_vec()].concat();
    // The first axis runs fastest: rows, then columns, channels and pictures.
    let place = |i: usize| pixel(pictures[i / 3072], i % 3072 / 1024, i % 32, i / 32 % 32);
    let values: Vec<u8> = (0..pictures.len() * 3072).map(place).collect();
    file.extend(matlab_array("X", &[32, 32, 3, pictures.len() as u32], &values));
    file.extend(matlab_array("y", &[labels.len() as u32, 1], labels));
    file
}

const SVHN: [&str; 2] = ["train_32x32.mat", "test_32x32.mat"];

#[test]
fn svhn_lies_in_matlabs_order_and_its_ten_is_zero() {
    let files = [(SVHN[0], matlab(&[0, 1], &[10, 1])), (SVHN[1], matlab(&[2, 3, 4], &[9, 10, 2]))];
    let (set, folder) = set("svhn", Unpacking::Svhn, &files);
    let written = unpack_in(&set, folder.path()).unwrap();
    assert_pictures(&written[0], "train", &[0, 1], &[0.0, 1.0]);
    assert_pictures(&written[0], "test", &[2, 3, 4], &[9.0, 0.0, 2.0]);
}

#[test]
fn emnists_files_leave_their_archive_and_nothing_else_does() {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for name in ["gzip/emnist-digits-train-images-idx3-ubyte.gz", "../emnist-up-ubyte.gz", "../evil.gz", "gzip/readme"]
    {
        zip.start_file(name, SimpleFileOptions::default()).unwrap();
        zip.write_all(&gzip(&[0, 0, 8, 1, 0, 0, 0, 2, 5, 6])).unwrap();
    }
    let (set, folder) = set("emnist", Unpacking::Emnist, &[("gzip.zip", zip.finish().unwrap().into_inner())]);
    let inside = folder.path().join("emnist-digits-train-images-idx3-ubyte.gz");
    assert_eq!(unpack_in(&set, folder.path()).unwrap(), [inside.clone(), folder.path().join("emnist-up-ubyte.gz")]);
    assert_eq!(read_array(inside.to_str().unwrap()).unwrap().bytes(), [5, 6]);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 3);
}

/// Archives that are cut, that lie of their sizes, or hold other things: an error with the file's name, and nothing is written.
#[test]
fn damaged_archives_are_refused() {
    let whole = cifar();
    let mut large = tar(&[("a/data_batch_1.bin", record(&[1], 0))]);
    large[124..135].copy_from_slice(b"77777777777");
    let with = |first: Vec<u8>| {
        let mut files = vec![("a/data_batch_1.bin", first)];
        let others = [
            "a/data_batch_2.bin",
            "a/data_batch_3.bin",
            "a/data_batch_4.bin",
            "a/data_batch_5.bin",
            "a/test_batch.bin",
        ];
        files.extend(others.map(|name| (name, record(&[1], 0))));
        tar(&files)
    };
    let (odd, within) = (with(record(&[10], 0)), with(vec![0; 3000]));
    let without = tar(&[("a/data_batch_1.bin", record(&[1], 0))]);
    let mut archives: Vec<Vec<u8>> = [large, odd, within, without].iter().map(|archive| gzip(archive)).collect();
    archives.extend((1..8).map(|part| whole[..whole.len() * part / 8].to_vec()));
    for archive in archives {
        let (set, folder) = set("cifar10", Unpacking::Cifar, &[(CIFAR, archive)]);
        let problem = unpack_in(&set, folder.path()).unwrap_err().to_string();
        assert!(problem.contains(CIFAR), "{problem}");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
    let good = matlab(&[0], &[1]);
    let mut others: Vec<Vec<u8>> = (0..8).map(|part| good[..good.len() * part / 8].to_vec()).collect();
    others.extend([matlab(&[0], &[11]), matlab(&[0, 1], &[1]), [&good[..128], &[255; 64]].concat()]);
    for other in others {
        let (set, folder) = set("svhn", Unpacking::Svhn, &[(SVHN[0], good.clone()), (SVHN[1], other)]);
        let problem = unpack_in(&set, folder.path()).unwrap_err().to_string();
        assert!(problem.contains(SVHN[1]), "{problem}");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
    }
}

/// What is asked for over an encrypted connection is told, with what to do.
#[test]
fn a_server_that_sends_to_https_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let error = run(folder.path(), &Server::start(Manners::Encrypted)).unwrap_err();
    assert!(matches!(&error, FetchError::Encrypted { path, .. } if *path == folder.path().join(IMAGES)), "{error}");
}
