fn main() -> std::process::ExitCode {
    gputrain::cli::main()
}
