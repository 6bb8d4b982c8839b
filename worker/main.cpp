#include <unistd.h>

#include "worker/command_line.hpp"
#include "worker/run.hpp"
#include "worker/run_tool.hpp"
#include "worker/standard_streams.hpp"

int main(int argc, char** argv) {
  using namespace sandbox_worker::worker;
  open_standard_streams();
  const Environment environment = environment_of(environ);
  const Command command = parse_command(argc, argv, environment);
  if (const auto* exit = std::get_if<Exit>(&command)) {
    if (exit->status != 0) {
      complain(exit->text);
    } else if (const auto printed = print(exit->text); !printed) {
      complain(printed.error());
      return 1;
    }
    return exit->status;
  }
  if (const auto* tool = std::get_if<ToolCommand>(&command)) return run_tool(*tool, environment);
  return run(std::get<Config>(command), environment);
}
