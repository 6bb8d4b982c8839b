#include <unistd.h>

#include <cstdio>

#include "worker/config.hpp"
#include "worker/run.hpp"

int main(int argc, char** argv) {
  using namespace sandbox_worker::worker;
  const Environment environment = environment_of(environ);
  const Command command = parse_command(argc, argv, environment);
  if (const auto* exit = std::get_if<Exit>(&command)) {
    std::fputs(exit->text.c_str(), exit->status == 0 ? stdout : stderr);
    return exit->status;
  }
  if (const auto* tool = std::get_if<ToolCommand>(&command)) return run_tool(*tool, environment);
  return run(std::get<Config>(command), environment);
}
