# The scripted stand-in for NVIDIA's management library (tests/fake_nvml): <build>/fake_nvml/libnvidia-ml.so.1.

if(TARGET gpu_test)
  add_library(fake_nvml SHARED ${CMAKE_SOURCE_DIR}/tests/fake_nvml/fake_nvml.cc
                               ${CMAKE_SOURCE_DIR}/tests/fake_nvml/driver.cc
                               ${CMAKE_SOURCE_DIR}/tests/fake_nvml/script.cc
                               ${CMAKE_SOURCE_DIR}/tests/fake_nvml/words.cc)
  # Its clock and what it has delivered outlive a dlclose, as the driver's own state does.
  target_link_options(fake_nvml PRIVATE -Wl,-z,nodelete)
  set_target_properties(fake_nvml PROPERTIES
    OUTPUT_NAME nvidia-ml SUFFIX .so.1 LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/fake_nvml
    CXX_VISIBILITY_PRESET hidden VISIBILITY_INLINES_HIDDEN ON)
  add_dependencies(gpu_test fake_nvml)
endif()
