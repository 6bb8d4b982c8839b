#include "tests/session_server/load.hpp"

#include <fmt/format.h>

#include <random>

namespace session_server {
namespace {

/// What one session thread has done so far, as far as later calls build on it.
struct Lane {
  std::string folder;
  std::vector<std::size_t> written;  // numbers of its text files
  std::size_t edits = 0;  // each edit needs the one before it: a lost or doubled one fails the next
};

LoadCall bash(const Lane& lane, std::size_t number, LoadPlan& plan) {
  plan.ran.push_back(fmt::format("ran {}", number));
  return {.call = {.name = "bash",
                   .input = {{"command", fmt::format("mkdir -p load/{} && echo 'ran {}' >> {} && echo out-{}",
                                                     lane.folder, number, kRanFile, number)}}},
          .contains = fmt::format("out-{}", number)};
}

LoadCall write(Lane& lane, std::size_t number) {
  lane.written.push_back(number);
  return {
      .call = {.name = "write",
               .input = {{"file_path", fmt::format("load/{}/{}.txt", lane.folder, number)},
                         {"content", fmt::format("first line\nalpha-{}-\n", number)}}},
  };
}

LoadCall read(const Lane& lane, std::size_t number) {
  return {
      .call = {.name = "read", .input = {{"file_path", fmt::format("load/{}/{}.txt", lane.folder, number)}}},
      .contains = fmt::format("alpha-{}-", number)};
}

LoadCall missing(const Lane& lane, std::size_t number) {
  return {
      .call = {.name = "read",
               .input = {{"file_path", fmt::format("load/{}/none-{}.txt", lane.folder, number)}}},
      .is_error = true,
  };
}

LoadCall edit(Lane& lane) {
  const std::size_t before = lane.edits++;
  const std::string path = fmt::format("load/{}/count.txt", lane.folder);
  if (before == 0)
    return {
        .call = {.name = "write", .input = {{"file_path", path}, {"content", "count=1;"}}},
    };
  return {
      .call = {.name = "edit",
               .input = {{"file_path", path},
                         {"old_string", fmt::format("count={};", before)},
                         {"new_string", fmt::format("count={};", before + 1)}}},
  };
}

LoadCall glob(const Lane& lane, std::size_t number) {
  return {
      .call = {.name = "glob", .input = {{"pattern", fmt::format("load/{}/{}.t?t", lane.folder, number)}}},
      .contains = fmt::format("load/{}/{}.txt", lane.folder, number)};
}

LoadCall grep(const Lane& lane, std::size_t number) {
  return {.call = {.name = "grep",
                   .input = {{"pattern", fmt::format("^alpha-{}-$", number)},
                             {"path", fmt::format("load/{}/{}.txt", lane.folder, number)}}},
          .contains = fmt::format("alpha-{}-", number)};
}

}  // namespace

LoadPlan plan_load(const Load& load) {
  LoadPlan plan;
  std::mt19937_64 random(load.seed);
  std::vector<Lane> lanes(std::max<std::size_t>(1, load.threads));
  for (std::size_t i = 0; i < lanes.size(); ++i) lanes[i].folder = fmt::format("t{}", i);
  for (std::size_t i = 0; i < load.calls; ++i) {
    Lane& lane = lanes[random() % lanes.size()];
    std::string kind = load.mix[random() % load.mix.size()];
    // What reads needs something written first.
    if (lane.written.empty() && kind != "bash" && kind != "edit") kind = "write";
    const std::size_t earlier = lane.written.empty() ? 0 : lane.written[random() % lane.written.size()];
    LoadCall call = kind == "bash"      ? bash(lane, i, plan)
                    : kind == "write"   ? write(lane, i)
                    : kind == "edit"    ? edit(lane)
                    : kind == "glob"    ? glob(lane, earlier)
                    : kind == "grep"    ? grep(lane, earlier)
                    : random() % 8 == 0 ? missing(lane, i)
                                        : read(lane, earlier);
    call.call.id = fmt::format("sevt_load_{:06}", i);
    if (lanes.size() > 1) call.call.thread = fmt::format("sthr_{}", lane.folder);
    plan.calls.push_back(std::move(call));
  }
  return plan;
}

}  // namespace session_server
