# espalier_room(NAME DEPS room... LIBS library...): a room of src/ becomes the library espalier_NAME
# of every .cpp file under it. Files named x_test.cpp become one test program, NAME_test, and files
# named x_fuzz.cpp one fuzz target each. DEPS are the rooms it may include: tools/layers.txt says the
# same and a test compares them with the include lines.
#
# Compile time: test programs are built with -O1 (ESPALIER_TEST_OPTIONS) and two precompiled headers serve
# all rooms, one for the rooms and one for their tests. Every file includes what it uses all the same: the
# presets clang and fuzz build without precompiled headers.
set(ESPALIER_TEST_OPTIONS -O1)
if(ESPALIER_PRECOMPILE)
  file(CONFIGURE OUTPUT ${CMAKE_BINARY_DIR}/pch/empty.cpp CONTENT "")
  add_library(espalier_pch OBJECT ${CMAKE_BINARY_DIR}/pch/empty.cpp)
  target_precompile_headers(espalier_pch PRIVATE <algorithm> <array> <cstdint> <cstring> <functional> <map>
    <memory> <optional> <span> <string> <string_view> <utility> <variant> <vector> <fmt/format.h>)
  target_link_libraries(espalier_pch PRIVATE fmt::fmt)
  if(ESPALIER_TESTS)
    # A program, as those that use it are: libraries are compiled with -fPIC, programs with -fPIE.
    file(CONFIGURE OUTPUT ${CMAKE_BINARY_DIR}/pch/main.cpp CONTENT "int main() { return 0; }\n")
    add_executable(espalier_pch_test ${CMAKE_BINARY_DIR}/pch/main.cpp)
    target_compile_options(espalier_pch_test PRIVATE ${ESPALIER_TEST_OPTIONS})
    target_precompile_headers(espalier_pch_test PRIVATE <algorithm> <array> <cstdint> <cstring> <functional>
      <map> <memory> <optional> <span> <string> <string_view> <utility> <variant> <vector> <fmt/format.h>
      <gtest/gtest.h> <gmock/gmock.h>)
    target_link_libraries(espalier_pch_test PRIVATE fmt::fmt GTest::gmock)
  endif()
endif()

function(espalier_precompiled target from)
  if(ESPALIER_PRECOMPILE)
    target_precompile_headers(${target} REUSE_FROM ${from})
  endif()
endfunction()

# The main of fuzz targets where libFuzzer is not; and every fuzz target by one name.
if(ESPALIER_TESTS)
  add_custom_target(espalier_fuzzers)
  if(NOT ESPALIER_FUZZ)
    add_library(espalier_fuzz_main OBJECT ${CMAKE_SOURCE_DIR}/tests/fuzz/standalone.cpp)
  endif()
endif()

function(espalier_room name)
  cmake_parse_arguments(ROOM "" "" "DEPS;LIBS;TEST_DEPS;TEST_LIBS" ${ARGN})
  file(GLOB_RECURSE all CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/${name}/*.cpp)
  set(sources ${all})
  list(FILTER sources EXCLUDE REGEX "_(test|fuzz|bench)\\.cpp$")
  set(tests ${all})
  list(FILTER tests INCLUDE REGEX "_test\\.cpp$")
  set(fuzzers ${all})
  list(FILTER fuzzers INCLUDE REGEX "_fuzz\\.cpp$")
  set(links ${ROOM_LIBS})
  foreach(dep ${ROOM_DEPS})
    list(APPEND links espalier_${dep})
  endforeach()
  if(sources)
    add_library(espalier_${name} STATIC ${sources})
    espalier_precompiled(espalier_${name} espalier_pch)
    target_include_directories(espalier_${name} PUBLIC ${CMAKE_SOURCE_DIR}/src)
    target_link_libraries(espalier_${name} PUBLIC ${links} fmt::fmt)
  else()
    add_library(espalier_${name} INTERFACE)
    target_include_directories(espalier_${name} INTERFACE ${CMAKE_SOURCE_DIR}/src)
    target_link_libraries(espalier_${name} INTERFACE ${links} fmt::fmt)
  endif()
  if(ESPALIER_TESTS AND tests)
    set(test_links ${ROOM_TEST_LIBS})
    foreach(dep ${ROOM_TEST_DEPS})
      list(APPEND test_links espalier_${dep})
    endforeach()
    add_executable(${name}_test ${tests})
    target_link_libraries(${name}_test PRIVATE espalier_${name} ${test_links} GTest::gmock GTest::gtest_main)
    target_compile_definitions(${name}_test PRIVATE
      ESPALIER_TEST_DATA="${CMAKE_SOURCE_DIR}/tests/data" ESPALIER_SOURCE="${CMAKE_SOURCE_DIR}")
    espalier_precompiled(${name}_test espalier_pch_test)
    target_compile_options(${name}_test PRIVATE ${ESPALIER_TEST_OPTIONS})
    add_test(NAME ${ESPALIER_TEST_PREFIX}unit.${name} COMMAND ${name}_test --gtest_brief=1)
    set_tests_properties(${ESPALIER_TEST_PREFIX}unit.${name} PROPERTIES LABELS "unit" TIMEOUT 240)
  endif()
  # Each fuzz target is built twice: under libFuzzer with ESPALIER_FUZZ, and else with a plain main
  # that replays the committed corpus and its mutations for a bounded time (tests/fuzz/standalone.cpp).
  if(ESPALIER_TESTS)
    foreach(source ${fuzzers})
      get_filename_component(target ${source} NAME_WE)
      if(ESPALIER_FUZZ)
        add_executable(${target} ${source})
        target_compile_options(${target} PRIVATE -fsanitize=fuzzer)
        target_link_options(${target} PRIVATE -fsanitize=fuzzer)
      else()
        add_executable(${target} ${source})
        target_link_libraries(${target} PRIVATE espalier_fuzz_main)
        add_test(NAME ${ESPALIER_TEST_PREFIX}fuzz.${target}
          COMMAND ${target} --seconds 3 ${CMAKE_SOURCE_DIR}/tests/fuzz/corpus/${target})
        set_tests_properties(${ESPALIER_TEST_PREFIX}fuzz.${target} PROPERTIES LABELS "fuzz" TIMEOUT 60)
      endif()
      add_dependencies(espalier_fuzzers ${target})
      target_link_libraries(${target} PRIVATE espalier_${name})
    endforeach()
  endif()
endfunction()
