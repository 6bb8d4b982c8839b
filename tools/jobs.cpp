#include "tools/jobs.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <span>
#include <utility>

#include "tools/text.hpp"

namespace sandbox_worker::tools {
namespace {

constexpr std::size_t kMaxListed = 20;
constexpr std::size_t kMaxCommand = 80;  // characters

}  // namespace

bool Jobs::knows(const ProcessInfo& process) const {
  const auto found = known_.find(process.pid);
  return found != known_.end() && found->second.begun == process.begun;
}

bool Jobs::print_to(std::size_t output, const OutputsOf& outputs_of) {
  const auto prints = [output](const Known& job) { return (job.outputs >> output & 1U) != 0; };
  for (auto& [pid, job] : known_) {
    if (!prints(job)) continue;
    job.outputs = outputs_of(pid);
    if (prints(job)) return true;
  }
  return false;
}

OutputSet Jobs::outputs() const {
  OutputSet outputs = 0;
  for (const auto& [pid, job] : known_) outputs |= job.outputs;
  return outputs;
}

Jobs::Look Jobs::look(std::span<const pid_t> children, const ProcessMarks& marks,
                      const OutputsOf& outputs_of) const {
  std::vector<pid_t> candidates = orphans_with(marks);
  std::ranges::copy(children, std::back_inserter(candidates));
  Look look;
  for (const pid_t pid : candidates) {
    const auto info = process_info(pid);
    if (!info || info->ended()) continue;
    if (marks.sessions.contains(pid)) continue;  // a shell that was killed
    if (knows(*info)) {
      look.running[pid] = known_.at(pid);
      continue;
    }
    look.running[pid] = {.begun = info->begun, .outputs = outputs_of(pid)};
    auto command = info->own_program ? command_line_of(pid) : std::string();
    look.early = look.early || command.empty();  // the kernel sets it a moment after the program
    look.fresh.push_back({pid, std::move(command)});
  }
  return look;
}

std::string jobs_line(const std::vector<Jobs::Job>& jobs) {
  if (jobs.empty()) return {};
  std::string line;
  for (const auto& job : std::span(jobs).first(std::min(jobs.size(), kMaxListed)))
    line += fmt::format("{}{} {}", line.empty() ? "" : ", ", job.pid,
                        job.command.empty() ? "(subshell)" : shorten(job.command, kMaxCommand));
  if (jobs.size() > kMaxListed) line += fmt::format(" and {} more", jobs.size() - kMaxListed);
  return fmt::format("[still running in the background: {}]", line);
}

}  // namespace sandbox_worker::tools
