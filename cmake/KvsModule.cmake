# One library for each module, which sees only the headers that it declared.
#
#   kvs_module(SOURCES slot_map.cc            # the library
#              TESTS   slot_map_test.cc       # its unit tests: one executable, label unit
#              FUZZ    slot_map_fuzz.cc       # libFuzzer targets; their corpus runs as a unit test
#              DEPS    common/base            # other modules
#              LIBS    leveldb::leveldb       # third party, headers visible to this module only
#              EXCEPTIONS)                    # for adapters around libraries that throw
#
#   kvs_program(kv_node SOURCES main.cc DEPS storage_node/server)   # -> build/<preset>/bin/kv_node
#
# A module is one leaf folder.  What is checked here:
#   1. The include path of a module is a folder that holds a link to that module alone, so a header
#      of a module that was not named in DEPS cannot be found.
#   2. A DEP must exist already, so the order of the top CMakeLists.txt is the layer diagram and
#      nobody can write a cycle.
#   3. Components (proxy, storage_node, ...) share code through common/ only.

function(kvs_link_deps target dir component)
  get_target_property(type ${target} TYPE)
  set(visibility PUBLIC)
  if(type STREQUAL "EXECUTABLE")
    set(visibility PRIVATE)
  endif()
  foreach(dep IN LISTS ARGN)
    string(REPLACE "/" "_" dep_target "kvs_${dep}")
    if(NOT TARGET ${dep_target})
      message(FATAL_ERROR "${dir} may not use ${dep}: the top CMakeLists.txt does not list it above")
    endif()
    if(NOT dep MATCHES "^common/" AND NOT dep MATCHES "^${component}(/|$)")
      message(FATAL_ERROR "${dir} may not use ${dep}: components share code through common/ only")
    endif()
    target_link_libraries(${target} ${visibility} ${dep_target})
  endforeach()
endfunction()

# Seconds that a unit test may take.  A sanitizer makes some ten times as much work of it.
set(KVS_UNIT_TIMEOUT_S 300)
if(NOT KVS_SANITIZE STREQUAL "")
  set(KVS_UNIT_TIMEOUT_S 900)
endif()

function(kvs_module)
  cmake_parse_arguments(ARG "EXCEPTIONS" "" "SOURCES;TESTS;FUZZ;DEPS;LIBS;TEST_DEPS" ${ARGN})
  file(RELATIVE_PATH dir "${PROJECT_SOURCE_DIR}" "${CMAKE_CURRENT_SOURCE_DIR}")
  string(REPLACE "/" "_" target "kvs_${dir}")
  string(REGEX MATCH "^[^/]+" component "${dir}")
  cmake_path(GET dir PARENT_PATH parent)

  add_library(${target} STATIC ${ARG_SOURCES})
  target_link_libraries(${target} PUBLIC kvs_compile_flags PRIVATE ${ARG_LIBS})
  foreach(lib IN LISTS ARG_LIBS)
    target_link_libraries(${target} INTERFACE $<LINK_ONLY:${lib}>)
  endforeach()
  if(NOT ARG_EXCEPTIONS)
    target_compile_options(${target} PRIVATE -fno-exceptions)
  endif()

  set(view "${PROJECT_BINARY_DIR}/include/${target}")
  file(MAKE_DIRECTORY "${view}/${parent}")
  file(CREATE_LINK "${CMAKE_CURRENT_SOURCE_DIR}" "${view}/${dir}" SYMBOLIC)
  target_include_directories(${target} PUBLIC "${view}")

  kvs_link_deps(${target} ${dir} ${component} ${ARG_DEPS})

  if(BUILD_TESTING AND ARG_TESTS)
    add_executable(${target}_test ${ARG_TESTS})
    target_link_libraries(${target}_test PRIVATE ${target} ${ARG_LIBS} GTest::gmock GTest::gtest_main)
    kvs_link_deps(${target}_test ${dir} ${component} ${ARG_TEST_DEPS})
    set_target_properties(${target}_test PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/unit")
    add_test(NAME ${dir} COMMAND ${target}_test WORKING_DIRECTORY "${CMAKE_CURRENT_SOURCE_DIR}")
    set_tests_properties(${dir} PROPERTIES LABELS unit TIMEOUT ${KVS_UNIT_TIMEOUT_S})
  endif()

  foreach(source IN LISTS ARG_FUZZ)
    kvs_fuzz_target(${target} ${dir} ${source})
  endforeach()
endfunction()

# A fuzz target is `x_fuzz.cc` beside the parser with `testdata/fuzz/x/` as its corpus.  Without
# KVS_FUZZ it gets a main() that runs each file of the corpus once, which is a unit test.
function(kvs_fuzz_target library dir source)
  cmake_path(GET source STEM name)
  if(KVS_FUZZ)
    add_executable(${name} ${source})
    target_link_options(${name} PRIVATE -fsanitize=fuzzer)
    if(NOT TARGET kvs_fuzz_targets)
      add_custom_target(kvs_fuzz_targets)
    endif()
    add_dependencies(kvs_fuzz_targets ${name})
    set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/fuzz")
  else()
    add_executable(${name} ${source} "${PROJECT_SOURCE_DIR}/cmake/fuzz_main.cc")
    set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/unit")
    string(REGEX REPLACE "_fuzz$" "" corpus ${name})
    add_test(NAME ${dir}/${name}
             COMMAND ${name} "${CMAKE_CURRENT_SOURCE_DIR}/testdata/fuzz/${corpus}")
    set_tests_properties(${dir}/${name} PROPERTIES LABELS unit)
  endif()
  target_link_libraries(${name} PRIVATE ${library})
endfunction()

function(kvs_program name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS;LIBS" ${ARGN})
  file(RELATIVE_PATH dir "${PROJECT_SOURCE_DIR}" "${CMAKE_CURRENT_SOURCE_DIR}")
  string(REGEX MATCH "^[^/]+" component "${dir}")
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE kvs_compile_flags kvs_allocator ${ARG_LIBS})
  # RPATH and not RUNPATH: it also serves the libraries that our libraries need.
  target_link_options(${name} PRIVATE -Wl,--disable-new-dtags)
  kvs_link_deps(${name} ${dir} ${component} ${ARG_DEPS})
endfunction()
