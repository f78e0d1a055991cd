# The stand-in for NVIDIA's management library that gpu_test loads: <build>/fake_nvml/libnvidia-ml.so.1.

if(TARGET gpu_test)
  add_library(fake_nvml SHARED ${CMAKE_SOURCE_DIR}/src/gpu/testing/fake_nvml.c)
  set_target_properties(fake_nvml PROPERTIES
    OUTPUT_NAME nvidia-ml SUFFIX .so.1 LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/fake_nvml)
  add_dependencies(gpu_test fake_nvml)
endif()
