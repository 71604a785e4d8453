//! Downloads public data sets: resumed where a download stopped, and given their names only once their checksum is right.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};
use ureq::http::{Response, StatusCode, header};
use ureq::{Agent, Body, Timeout};

use super::Unpacking;

/// Bytes that a server must send in a second, over a minute.
const LEAST_RATE: f64 = 1000.0;

/// A file of a public data set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PublicFile {
    /// Its name at the source and on disk.
    pub name: &'static str,
    /// Its size in bytes.
    pub size: u64,
    /// Its SHA-256 in hexadecimal.
    pub sha256: &'static str,
}

/// A public data set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PublicSet {
    /// What it is called here.
    pub name: &'static str,
    /// Where its files are. Plain HTTP will do, and spares a TLS library: the checksums guard the content.
    pub base_url: &'static str,
    /// Its files.
    pub files: &'static [PublicFile],
    /// A file that holds the same as they do, and is taken in their place where it is there.
    pub instead: Option<PublicFile>,
    /// What is made of them by [`unpack`](super::unpack()).
    pub unpacking: Unpacking,
}

/// The data sets that can be fetched. Sizes and checksums of the first two are those of the files; of the others, those that TensorFlow
/// Datasets publishes (`url_checksums`); of what may be there instead, those that Keras has.
pub const PUBLIC_SETS: &[PublicSet] = &[
    PublicSet {
        name: "mnist",
        base_url: "http://ossci-datasets.s3.amazonaws.com/mnist/",
        files: &[
            PublicFile {
                name: "train-images-idx3-ubyte.gz",
                size: 9_912_422,
                sha256: "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
            },
            PublicFile {
                name: "train-labels-idx1-ubyte.gz",
                size: 28_881,
                sha256: "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
            },
            PublicFile {
                name: "t10k-images-idx3-ubyte.gz",
                size: 1_648_877,
                sha256: "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
            },
            PublicFile {
                name: "t10k-labels-idx1-ubyte.gz",
                size: 4_542,
                sha256: "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
            },
        ],
        instead: None,
        unpacking: Unpacking::Nothing,
    },
    PublicSet {
        name: "fashion-mnist",
        base_url: "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        files: &[
            PublicFile {
                name: "train-images-idx3-ubyte.gz",
                size: 26_421_880,
                sha256: "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
            },
            PublicFile {
                name: "train-labels-idx1-ubyte.gz",
                size: 29_515,
                sha256: "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
            },
            PublicFile {
                name: "t10k-images-idx3-ubyte.gz",
                size: 4_422_102,
                sha256: "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
            },
            PublicFile {
                name: "t10k-labels-idx1-ubyte.gz",
                size: 5_148,
                sha256: "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
            },
        ],
        instead: None,
        unpacking: Unpacking::Nothing,
    },
    PublicSet {
        name: "kmnist",
        base_url: "http://codh.rois.ac.jp/kmnist/dataset/kmnist/",
        files: &[
            PublicFile {
                name: "train-images-idx3-ubyte.gz",
                size: 18_165_135,
                sha256: "51467d22d8cc72929e2a028a0428f2086b092bb31cfb79c69cc0a90ce135fde4",
            },
            PublicFile {
                name: "train-labels-idx1-ubyte.gz",
                size: 29_497,
                sha256: "e38f9ebcd0f3ebcdec7fc8eabdcdaef93bb0df8ea12bee65224341c8183d8e17",
            },
            PublicFile {
                name: "t10k-images-idx3-ubyte.gz",
                size: 3_041_136,
                sha256: "edd7a857845ad6bb1d0ba43fe7e794d164fe2dce499a1694695a792adfac43c5",
            },
            PublicFile {
                name: "t10k-labels-idx1-ubyte.gz",
                size: 5_120,
                sha256: "20bb9a0ef54c7db3efc55a92eef5582c109615df22683c380526788f98e42a1c",
            },
        ],
        instead: None,
        unpacking: Unpacking::Nothing,
    },
    PublicSet {
        name: "emnist",
        base_url: "http://www.itl.nist.gov/iaui/vip/cs_links/EMNIST/",
        files: &[PublicFile {
            name: "gzip.zip",
            size: 561_753_746,
            sha256: "fb9bb67e33772a9cc0b895e4ecf36d2cf35be8b709693c3564cea2a019fcda8e",
        }],
        instead: None,
        unpacking: Unpacking::Emnist,
    },
    PublicSet {
        name: "cifar10",
        base_url: "http://www.cs.toronto.edu/~kriz/",
        files: &[PublicFile {
            name: "cifar-10-binary.tar.gz",
            size: 170_052_171,
            sha256: "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
        }],
        instead: Some(PublicFile {
            name: "cifar-10-python.tar.gz",
            size: 170_498_071,
            sha256: "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce",
        }),
        unpacking: Unpacking::Cifar,
    },
    PublicSet {
        name: "cifar100",
        base_url: "http://www.cs.toronto.edu/~kriz/",
        files: &[PublicFile {
            name: "cifar-100-binary.tar.gz",
            size: 168_513_733,
            sha256: "58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec",
        }],
        instead: Some(PublicFile {
            name: "cifar-100-python.tar.gz",
            size: 169_001_437,
            sha256: "85cd44d02ba6437773c5bbd22e183051d648de2e7d6b014e1ef29b855ba677a7",
        }),
        unpacking: Unpacking::Cifar,
    },
    PublicSet {
        name: "svhn",
        base_url: "http://ufldl.stanford.edu/housenumbers/",
        files: &[
            PublicFile {
                name: "train_32x32.mat",
                size: 182_040_794,
                sha256: "435e94d69a87fde4fd4d7f3dd208dfc32cb6ae8af2240d066de1df7508d083b8",
            },
            PublicFile {
                name: "test_32x32.mat",
                size: 64_275_384,
                sha256: "cdce80dfb2a2c4c6160906d0bd7c68ec5a99d7ca4831afa54f09182025b6a75b",
            },
        ],
        instead: None,
        unpacking: Unpacking::Svhn,
    },
];

impl PublicSet {
    /// The set of that name.
    pub fn named(name: &str) -> Option<&'static PublicSet> {
        PUBLIC_SETS.iter().find(|set| set.name == name)
    }
}

/// How far a download is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress<'a> {
    /// The file.
    pub file: &'a str,
    /// Bytes there.
    pub done: u64,
    /// Bytes in all.
    pub total: u64,
}

/// Why a download failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FetchError {
    /// The server could not be reached, or the connection broke.
    #[error("{url}: {detail}; run the command again to go on from {done} of {total} bytes")]
    Network {
        /// What was asked for.
        url: String,
        /// What went wrong.
        detail: String,
        /// Bytes that are on disk.
        done: u64,
        /// Bytes in all.
        total: u64,
    },
    /// The server answered, but not with the file.
    #[error("{url}: the server answered {status}; check the address, or name another one with --url")]
    Status {
        /// What was asked for.
        url: String,
        /// The HTTP status.
        status: u16,
    },
    /// The server gives the file over an encrypted connection only.
    #[error(
        "{url}: the server asks for an encrypted connection (https), which gputrain does not make; download the file with a browser \
         or curl to {}, and run the command again: what is there and right is kept. Or name another address with --url",
        path.display()
    )]
    Encrypted {
        /// What was asked for.
        url: String,
        /// Where the file belongs.
        path: PathBuf,
    },
    /// What came is not the file.
    #[error(
        "{url}: the SHA-256 of what came is {found}, expected {expected}; nothing was kept: try again, or another --url"
    )]
    Checksum {
        /// What was asked for.
        url: String,
        /// The right checksum.
        expected: String,
        /// The wrong one.
        found: String,
    },
    /// The disk refused.
    #[error("{}: {source}", path.display())]
    Disk {
        /// The file.
        path: PathBuf,
        /// What went wrong.
        source: io::Error,
    },
}

/// Downloads what is missing of `set` from `base_url` into `folder`, and gives back the paths of all its files, or of the one that is
/// there instead.
///
/// Files that are there and right are kept. A partial download (`NAME.part`) is continued. A file gets its name after
/// its checksum was found right, so that a file of that name can be relied on.
pub fn fetch(
    set: &PublicSet,
    folder: &Path,
    base_url: &str,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<Vec<PathBuf>, FetchError> {
    fetch_patiently(set, folder, base_url, Duration::from_secs(60), progress)
}

/// As [`fetch`], giving a server up that sends nothing for so long, or too little.
fn fetch_patiently(
    set: &PublicSet,
    folder: &Path,
    base_url: &str,
    patience: Duration,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<Vec<PathBuf>, FetchError> {
    fs::create_dir_all(folder).map_err(|e| disk(folder, e))?;
    if let Some(PublicFile { name, sha256, size: total }) = set.instead {
        let instead = folder.join(name);
        let has_own = set.files.iter().any(|file| folder.join(file.name).is_file());
        if !has_own && instead.is_file() && checksum(&instead)? == sha256 {
            progress(Progress { file: name, done: total, total });
            return Ok(vec![instead]);
        }
    }
    let agent: Agent = Agent::config_builder()
        .timeout_connect(Some(Duration::from_secs(30)))
        .timeout_recv_response(Some(patience))
        // Not a limit on the whole: a slow download is a download.
        .timeout_per_read(Some(patience))
        .http_status_as_error(false)
        .build()
        .into();
    let fetch_one = |file: &PublicFile| {
        let url = format!("{}/{}", base_url.trim_end_matches('/'), file.name);
        Download { agent: &agent, url, file, patience, part: folder.join(format!("{}.part", file.name)) }
            .run(&folder.join(file.name), progress)
    };
    set.files.iter().map(fetch_one).collect()
}

struct Download<'a> {
    agent: &'a Agent,
    url: String,
    file: &'a PublicFile,
    patience: Duration,
    part: PathBuf,
}

impl Download<'_> {
    fn run(self, target: &Path, progress: &mut dyn FnMut(Progress<'_>)) -> Result<PathBuf, FetchError> {
        let total = self.file.size;
        if target.exists() && checksum(target)? == self.file.sha256 {
            progress(Progress { file: self.file.name, done: total, total });
            return Ok(target.to_owned());
        }
        // What a part of before holds may be of something else: only what comes whole is the server's fault.
        let there = self.there()?;
        if there > 0 && there < total {
            self.download(there, progress)?;
        }
        if there == 0 || there > total || checksum(&self.part)? != self.file.sha256 {
            self.download(0, progress)?;
        }
        let found = checksum(&self.part)?;
        if found != self.file.sha256 {
            fs::remove_file(&self.part).map_err(|e| disk(&self.part, e))?;
            return Err(FetchError::Checksum { url: self.url, expected: self.file.sha256.to_owned(), found });
        }
        fs::rename(&self.part, target).map_err(|e| disk(target, e))?;
        Ok(target.to_owned())
    }

    /// Bytes of the part of before. What is no file is not written to: a link's target belongs to someone else.
    fn there(&self) -> Result<u64, FetchError> {
        match fs::symlink_metadata(&self.part) {
            Ok(found) if found.is_file() => Ok(found.len()),
            Ok(_) => {
                let problem = "is a link, a folder or a device, not the file that a download writes; remove it";
                Err(disk(&self.part, io::Error::new(ErrorKind::InvalidInput, problem)))
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(0),
            Err(error) => Err(disk(&self.part, error)),
        }
    }

    /// Gets the bytes from `there` on and appends them; from the start if the server does not do parts.
    fn download(&self, there: u64, progress: &mut dyn FnMut(Progress<'_>)) -> Result<(), FetchError> {
        let response = self.request(there)?;
        let (response, mut done) = match response.status() {
            StatusCode::PARTIAL_CONTENT if starts_at(&response, there) => (response, there),
            StatusCode::OK => (response, 0),
            // The server will not continue, for whatever reason: take the whole.
            _ if there > 0 => (self.request(0)?, 0),
            _ => (response, 0),
        };
        let whole = response.status() == StatusCode::OK;
        if !whole && done == 0 {
            return Err(FetchError::Status { url: self.url.clone(), status: response.status().as_u16() });
        }
        let mut part = self.open(whole).map_err(|e| disk(&self.part, e))?;
        let total = self.file.size;
        // One byte more than expected is enough to fail the checksum; an endless answer must not fill the disk.
        let mut body = response.into_body().into_reader().take(total - done + 1);
        let mut buffer = vec![0; 1 << 16];
        let (mut since, mut before) = (Instant::now(), done);
        loop {
            progress(Progress { file: self.file.name, done, total });
            match body.read(&mut buffer) {
                Ok(0) if done < total => return Err(self.broken("the connection ended early", done)),
                Ok(0) => return Ok(()),
                Ok(count) => {
                    part.write_all(&buffer[..count]).map_err(|e| disk(&self.part, e))?;
                    done += count as u64;
                    if since.elapsed() >= self.patience && done < total {
                        let rate = (done - before) as f64 / since.elapsed().as_secs_f64();
                        if rate < LEAST_RATE {
                            let detail = format!("the server sends {rate:.0} bytes a second, less than {LEAST_RATE}");
                            return Err(self.broken(&detail, done));
                        }
                        (since, before) = (Instant::now(), done);
                    }
                }
                Err(error) => return Err(self.broken(&in_words(&error.into()), done)),
            }
        }
    }

    /// The part to be written: a new one, which nothing else has a hold on, or the end of that of before.
    fn open(&self, whole: bool) -> io::Result<File> {
        if !whole {
            return OpenOptions::new().append(true).open(&self.part);
        }
        match fs::remove_file(&self.part) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            _ => OpenOptions::new().write(true).create_new(true).open(&self.part),
        }
    }

    fn request(&self, from: u64) -> Result<Response<Body>, FetchError> {
        let mut request = self.agent.get(&self.url);
        if from > 0 {
            request = request.header(header::RANGE, format!("bytes={from}-"));
        }
        request.call().map_err(|error| match error {
            ureq::Error::TlsRequired => {
                FetchError::Encrypted { url: self.url.clone(), path: self.part.with_file_name(self.file.name) }
            }
            error => self.broken(&in_words(&error), from),
        })
    }

    fn broken(&self, detail: &str, done: u64) -> FetchError {
        FetchError::Network { url: self.url.clone(), detail: detail.to_owned(), done, total: self.file.size }
    }
}

/// What went wrong, for people.
fn in_words(error: &ureq::Error) -> String {
    match error {
        ureq::Error::Timeout(Timeout::PerRead | Timeout::RecvResponse) => "the server sent nothing for too long".into(),
        other => other.to_string(),
    }
}

/// True when the answer is the part that was asked for: `Content-Range: bytes 100-999/1000`.
fn starts_at(response: &Response<Body>, there: u64) -> bool {
    let range = response.headers().get(header::CONTENT_RANGE).and_then(|range| range.to_str().ok());
    let start = range.and_then(|range| range.strip_prefix("bytes ")?.split('-').next()?.parse().ok());
    start == Some(there)
}

fn checksum(path: &Path) -> Result<String, FetchError> {
    let mut hasher = Sha256::new();
    let mut file = crate::file::open(path).map_err(|e| disk(path, e))?;
    let mut buffer = vec![0; 1 << 16];
    loop {
        match file.read(&mut buffer).map_err(|e| disk(path, e))? {
            0 => break,
            count => hasher.update(&buffer[..count]),
        }
    }
    Ok(hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

fn disk(path: &Path, source: io::Error) -> FetchError {
    FetchError::Disk { path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;
    use std::time::Instant;

    #[test]
    fn a_server_that_drips_is_given_up() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        // It ends when nobody listens any more.
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4542\r\n\r\n").unwrap();
            while stream.write_all(b"1").is_ok() {
                std::thread::sleep(Duration::from_millis(20));
            }
        });
        let files = &PublicSet::named("mnist").unwrap().files[3..];
        let (set, folder) = (
            PublicSet { name: "test", base_url: "", files, instead: None, unpacking: Unpacking::Nothing },
            tempfile::tempdir().unwrap(),
        );
        let error = fetch_patiently(&set, folder.path(), &url, Duration::from_millis(300), &mut |_| {}).unwrap_err();
        assert!(error.to_string().contains("bytes a second, less than 1000; run the command again"), "{error}");
        server.join().unwrap();
    }

    #[test]
    fn a_server_that_falls_silent_is_given_up() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        // Ten of the announced bytes, then nothing, with the connection open.
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4542\r\n\r\n0123456789").unwrap();
            stream
        });
        let files = &PublicSet::named("mnist").unwrap().files[3..];
        let (set, folder) = (
            PublicSet { name: "test", base_url: "", files, instead: None, unpacking: Unpacking::Nothing },
            tempfile::tempdir().unwrap(),
        );
        let started = Instant::now();
        let error = fetch_patiently(&set, folder.path(), &url, Duration::from_millis(300), &mut |_| {}).unwrap_err();
        assert!(started.elapsed() < Duration::from_secs(20));
        assert!(matches!(error, FetchError::Network { done: 10, .. }), "{error}");
        assert!(error.to_string().contains("sent nothing for too long; run the command again"), "{error}");
        drop(server.join().unwrap());
    }
}
