#include "test_all/harness/process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <string_view>

#include "common/base/check.h"
#include "common/base/file.h"
#include "test_all/harness/wait.h"

namespace kvs {
namespace {

constexpr int kExecFailed = 127;

// Runs in the child, so nothing here may allocate after a fork of a process with threads.
[[noreturn]] void Exec(const char* working_dir, int output, char* const* argv, char* const* env,
                       pid_t parent) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) {
    ::_exit(kExecFailed);  // The suite died between fork and prctl.
  }
  const int input = ::open("/dev/null", O_RDONLY);
  ::dup2(input, STDIN_FILENO);
  ::dup2(output, STDOUT_FILENO);
  ::dup2(output, STDERR_FILENO);
  if (*working_dir != '\0' && ::chdir(working_dir) != 0) {
    ::_exit(kExecFailed);
  }
  ::execvpe(argv[0], argv, env);
  ::_exit(kExecFailed);
}

std::vector<char*> Pointers(std::vector<std::string>* strings) {
  std::vector<char*> pointers;
  for (std::string& text : *strings) {
    pointers.push_back(text.data());
  }
  pointers.push_back(nullptr);
  return pointers;
}

std::vector<std::string> Environment(const std::vector<std::string>& added) {
  std::vector<std::string> all = added;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    const std::string_view name = text.substr(0, text.find('=') + 1);
    if (std::none_of(added.begin(), added.end(),
                     [&](const std::string& other) { return other.starts_with(name); })) {
      all.emplace_back(text);
    }
  }
  return all;
}

int ExitCode(int status) {
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

}  // namespace

Result<std::unique_ptr<Process>> Process::Start(ProcessOptions options) {
  KVS_CHECK(!options.argv.empty());
  const UniqueFd output(
      ::open(options.output_file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644));
  if (!output.valid()) {
    return Status::FromErrno(options.output_file, errno);
  }
  std::vector<std::string> env = Environment(options.env);
  const std::vector<char*> argv_pointers = Pointers(&options.argv);
  const std::vector<char*> env_pointers = Pointers(&env);
  const pid_t parent = ::getpid();
  const pid_t pid = ::fork();
  if (pid < 0) {
    return Status::FromErrno("fork", errno);
  }
  if (pid == 0) {
    Exec(options.working_dir.c_str(), output.get(), argv_pointers.data(), env_pointers.data(),
         parent);
  }
  return std::unique_ptr<Process>(new Process(pid, std::move(options.output_file)));
}

Process::~Process() {
  Kill();
}

bool Process::Running() {
  if (reaped_) {
    return false;
  }
  int status = 0;
  const pid_t ended = ::waitpid(pid_, &status, WNOHANG);
  if (ended == 0) {
    return true;
  }
  KVS_CHECK(ended == pid_);
  reaped_ = true;
  exit_code_ = ExitCode(status);
  return false;
}

void Process::Signal(int signal) {
  if (Running()) {
    ::kill(pid_, signal);
  }
}

Status Process::Pause() {
  Signal(SIGSTOP);
  const std::string tasks = "/proc/" + std::to_string(pid_) + "/task";
  const bool stopped = WaitUntil(5000, [&tasks] {
    const Result<std::vector<std::string>> threads = ListDir(tasks);
    return threads.ok() &&
           std::all_of(threads->begin(), threads->end(), [&tasks](const std::string& thread) {
             const Result<std::string> stat = ReadFile(tasks + "/" + thread + "/stat");
             return stat.ok() && stat->find(") T ") != std::string::npos;
           });
  });
  return stopped ? Status::Ok() : Status::Timeout("the process does not stop");
}

void Process::Kill() {
  if (!Running()) {
    return;
  }
  ::kill(pid_, SIGKILL);
  int status = 0;
  while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
  reaped_ = true;
  exit_code_ = ExitCode(status);
}

Result<int> Process::Wait(int64_t timeout_ms) {
  if (!WaitUntil(timeout_ms, [this] { return !Running(); })) {
    return Status::Timeout("the process still runs");
  }
  return exit_code_;
}

Result<int> Process::Terminate(int64_t timeout_ms) {
  Signal(SIGTERM);
  return Wait(timeout_ms);
}

std::string Process::Output() const {
  Result<std::string> text = ReadFile(output_file_);
  return text.ok() ? *std::move(text) : std::string();
}

Result<ToolResult> RunTool(std::vector<std::string> argv, int64_t timeout_ms,
                           std::vector<std::string> env) {
  char path[] = "/tmp/kvs_tool.XXXXXX";
  const UniqueFd fd(::mkstemp(path));
  if (!fd.valid()) {
    return Status::FromErrno(path, errno);
  }
  Result<std::unique_ptr<Process>> process = Process::Start(
      {.argv = std::move(argv), .output_file = path, .working_dir = {}, .env = std::move(env)});
  ToolResult result;
  Status status = process.status();
  if (process.ok()) {
    const Result<int> exit_code = (*process)->Wait(timeout_ms);
    status = exit_code.status();
    result.exit_code = exit_code.ok() ? *exit_code : -1;
    result.output = (*process)->Output();
  }
  (void)RemoveFile(path).ok();
  if (!status.ok()) {
    return status.WithContext(result.output);
  }
  return result;
}

}  // namespace kvs
