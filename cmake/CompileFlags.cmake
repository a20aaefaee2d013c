# Flags that every target of ours is compiled with.  KVS_SANITIZE is empty, "address" (which brings
# UBSan along) or "thread"; presets set it.
set(KVS_SANITIZE "" CACHE STRING "empty, address or thread")
option(KVS_FUZZ "Build the fuzz targets with libFuzzer (needs clang)" OFF)
option(KVS_FAULT_POINTS "Compile the named fault points in; for tests only, never for a release" OFF)

find_program(KVS_CCACHE ccache)
if(KVS_CCACHE)
  set(CMAKE_CXX_COMPILER_LAUNCHER "${CMAKE_COMMAND}" -E env CCACHE_BASEDIR=${PROJECT_SOURCE_DIR}
      CCACHE_NOHASHDIR=1 CCACHE_SLOPPINESS=pch_defines,time_macros "${KVS_CCACHE}")
endif()

add_library(kvs_compile_flags INTERFACE)
target_compile_options(kvs_compile_flags INTERFACE
  -Wall -Wextra -Wshadow -Wconversion -Wold-style-cast -Wnon-virtual-dtor -Werror
  -fno-omit-frame-pointer)
if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  target_compile_options(kvs_compile_flags INTERFACE -Wthread-safety)
endif()
if(KVS_FAULT_POINTS)
  target_compile_definitions(kvs_compile_flags INTERFACE KVS_FAULT_POINTS=1)
endif()

if(KVS_SANITIZE STREQUAL "address")
  add_compile_options(-fsanitize=address,undefined -fno-sanitize-recover=all)
  add_link_options(-fsanitize=address,undefined)
elseif(KVS_SANITIZE STREQUAL "thread")
  add_compile_options(-fsanitize=thread)
  add_link_options(-fsanitize=thread)
elseif(NOT KVS_SANITIZE STREQUAL "")
  message(FATAL_ERROR "KVS_SANITIZE is '${KVS_SANITIZE}'; use address, thread or nothing")
endif()
