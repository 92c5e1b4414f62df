//! The checkout on disk: where it is, the cargo that builds it, and its files read into memory.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// A checkout and the cargo that builds it.
pub(crate) struct Repository {
    root: PathBuf,
    cargo: OsString,
}

impl Repository {
    /// Asks cargo for the workspace around the current directory.
    pub(crate) fn find() -> Result<Self, String> {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
        let manifest = stdout_of(Command::new(&cargo).args([
            "locate-project",
            "--workspace",
            "--message-format=plain",
        ]))?;
        let root = Path::new(manifest.trim())
            .parent()
            .ok_or_else(|| format!("`{}` is not the path of a manifest", manifest.trim()))?;
        Ok(Self { root: root.to_path_buf(), cargo })
    }

    /// The folder of the workspace.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// A cargo command that runs in the root folder.
    pub(crate) fn cargo(&self) -> Command {
        let mut command = Command::new(&self.cargo);
        command.current_dir(&self.root);
        command
    }

    /// What `cargo metadata` says about the workspace, without its dependencies' own metadata.
    pub(crate) fn metadata(&self) -> Result<Value, String> {
        let text = stdout_of(self.cargo().args(["metadata", "--no-deps", "--format-version=1"]))?;
        serde_json::from_str(&text).map_err(|error| format!("cannot read cargo metadata: {error}"))
    }

    /// Where builds go.
    pub(crate) fn target(&self) -> Result<PathBuf, String> {
        let metadata = self.metadata()?;
        let target = metadata.get("target_directory").and_then(Value::as_str);
        target
            .map(PathBuf::from)
            .ok_or_else(|| "cargo metadata lacks `target_directory`".to_owned())
    }

    /// The file tree, without build output and version control.
    pub(crate) fn tree(&self) -> Result<Tree, String> {
        let mut tree = Tree::default();
        tree.read_folder(&self.root, "")?;
        Ok(tree)
    }

    /// One file of the root folder as text.
    pub(crate) fn text(&self, path: &str) -> Result<String, String> {
        read_text(&self.root.join(path), path)
    }
}

/// A file tree in memory. Paths are relative to the root, with `/` between components.
#[derive(Default)]
pub(crate) struct Tree {
    /// Contents of source, manifest and documentation files.
    pub(crate) texts: BTreeMap<String, String>,
    /// Every file and folder.
    paths: BTreeSet<String>,
}

impl Tree {
    /// Whether a file or folder of this path is there.
    pub(crate) fn exists(&self, path: &str) -> bool {
        path.is_empty() || self.paths.contains(path)
    }

    /// Text files whose name ends with `.extension`, in path order.
    pub(crate) fn texts_with_extension(
        &self,
        extension: &str,
    ) -> impl Iterator<Item = (&str, &str)> {
        let wanted = Path::new(extension).as_os_str();
        self.texts
            .iter()
            .filter(move |(path, _)| Path::new(path).extension() == Some(wanted))
            .map(|(path, text)| (path.as_str(), text.as_str()))
    }

    /// Adds a text file and the folders above it.
    pub(crate) fn insert(&mut self, path: &str, text: String) {
        for (end, _) in path.match_indices('/') {
            self.paths.extend(path.get(..end).map(str::to_owned));
        }
        self.paths.insert(path.to_owned());
        self.texts.insert(path.to_owned(), text);
    }

    fn read_folder(&mut self, folder: &Path, prefix: &str) -> Result<(), String> {
        let explain = |error| format!("cannot list `{}`: {error}", folder.display());
        for entry in fs::read_dir(folder).map_err(explain)? {
            let entry = entry.map_err(explain)?;
            let Ok(name) = entry.file_name().into_string() else {
                return Err(format!("`{}` is not valid UTF-8", entry.path().display()));
            };
            let path = format!("{prefix}{name}");
            let kind = entry.file_type().map_err(explain)?;
            if kind.is_dir() {
                if name != "target" && name != ".git" {
                    self.paths.insert(path.clone());
                    self.read_folder(&entry.path(), &format!("{path}/"))?;
                }
            } else if kind.is_file() && [".rs", ".md", ".toml"].iter().any(|e| name.ends_with(e)) {
                let text = read_text(&entry.path(), &path)?;
                self.insert(&path, text);
            } else {
                self.paths.insert(path);
            }
        }
        Ok(())
    }
}

fn read_text(file: &Path, path: &str) -> Result<String, String> {
    fs::read_to_string(file).map_err(|error| format!("cannot read `{path}`: {error}"))
}

/// Runs a command to its end and returns what it wrote to standard output.
fn stdout_of(command: &mut Command) -> Result<String, String> {
    let output = command.output().map_err(|error| format!("cannot run {command:?}: {error}"))?;
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr);
        return Err(format!("{command:?}: {}: {}", output.status, stderr.trim()));
    }
    String::from_utf8(output.stdout).map_err(|error| format!("{command:?}: {error}"))
}

#[cfg(test)]
impl Tree {
    /// A tree of the given files.
    pub(crate) fn of(files: &[(&str, &str)]) -> Self {
        let mut tree = Self::default();
        for (path, text) in files {
            tree.insert(path, (*text).to_owned());
        }
        tree
    }
}
