// Compiles SPIR-V compute shaders with a Vulkan driver and prints what the driver says of each, one JSON object a line; the first
// line names the device. It runs nothing, so that the device may be one that is not there.
//
// usage: statistics < LIST
// A line of LIST is a shader: NAME FILE UNIFORMS STORAGE_BUFFERS SUBGROUP FEATURES
//   UNIFORMS: 1 with a uniform buffer at binding 0, else 0; STORAGE_BUFFERS: so many, from binding 1 on
//   SUBGROUP: the size that it is written for, 0 for any; FEATURES: 0 for none, 1 for f16, 2 for matrix units as well
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <vulkan/vulkan.h>

#define MOST_BINDINGS 32
#define CHECK(call) check(call, #call)

static void check(VkResult result, const char *call) {
    if (result == VK_SUCCESS) return;
    fprintf(stderr, "error: %s gave %d\n", call, result);
    exit(1);
}

typedef struct {
    VkDevice device;
    int f16, matrix_units, least_subgroup, largest_subgroup;
    PFN_vkGetPipelineExecutablePropertiesKHR executables;
    PFN_vkGetPipelineExecutableStatisticsKHR statistics;
} Gpu;

typedef struct {
    char name[256], file[512];
    int uniforms, storage, subgroup, features;
} Shader;

static Gpu open_gpu(void) {
    VkApplicationInfo app = {VK_STRUCTURE_TYPE_APPLICATION_INFO, .apiVersion = VK_API_VERSION_1_3};
    VkInstanceCreateInfo instance_info = {VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO, .pApplicationInfo = &app};
    VkInstance instance;
    CHECK(vkCreateInstance(&instance_info, 0, &instance));
    uint32_t count = 1;
    VkPhysicalDevice physical;
    if (vkEnumeratePhysicalDevices(instance, &count, &physical) < 0 || count == 0) {
        fprintf(stderr, "error: the driver has no device\n");
        exit(3);
    }

    vkEnumerateDeviceExtensionProperties(physical, 0, &count, 0);
    VkExtensionProperties *known = calloc(count, sizeof *known);
    vkEnumerateDeviceExtensionProperties(physical, 0, &count, known);
    const char *wanted[] = {"VK_KHR_pipeline_executable_properties", "VK_KHR_cooperative_matrix"};
    const char *extensions[2];
    int has[2] = {0, 0};
    uint32_t extension_count = 0;
    for (int w = 0; w < 2; w++)
        for (uint32_t i = 0; i < count; i++)
            if (!strcmp(known[i].extensionName, wanted[w])) has[w] = 1, extensions[extension_count++] = wanted[w];
    if (!has[0]) {
        fprintf(stderr, "error: the driver tells no statistics\n");
        exit(3);
    }

    VkPhysicalDevicePipelineExecutablePropertiesFeaturesKHR executable = {VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PIPELINE_EXECUTABLE_PROPERTIES_FEATURES_KHR};
    VkPhysicalDeviceCooperativeMatrixFeaturesKHR matrix = {VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COOPERATIVE_MATRIX_FEATURES_KHR, &executable};
    VkPhysicalDeviceVulkan11Features f11 = {VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_FEATURES, has[1] ? (void *)&matrix : (void *)&executable};
    VkPhysicalDeviceVulkan12Features f12 = {VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES, &f11};
    VkPhysicalDeviceVulkan13Features f13 = {VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_3_FEATURES, &f12};
    VkPhysicalDeviceFeatures2 features = {VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2, &f13};
    vkGetPhysicalDeviceFeatures2(physical, &features);
    // As wgpu opens a device for shaders that guard their own accesses.
    features.features.robustBufferAccess = 0;

    float priority = 1;
    VkDeviceQueueCreateInfo queue = {VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO, .queueCount = 1, .pQueuePriorities = &priority};
    VkDeviceCreateInfo device_info = {VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO, &features, .queueCreateInfoCount = 1, .pQueueCreateInfos = &queue, .enabledExtensionCount = extension_count, .ppEnabledExtensionNames = extensions};
    Gpu gpu = {.f16 = f12.shaderFloat16, .matrix_units = has[1] && matrix.cooperativeMatrix};
    CHECK(vkCreateDevice(physical, &device_info, 0, &gpu.device));
    gpu.executables = (PFN_vkGetPipelineExecutablePropertiesKHR)vkGetDeviceProcAddr(gpu.device, "vkGetPipelineExecutablePropertiesKHR");
    gpu.statistics = (PFN_vkGetPipelineExecutableStatisticsKHR)vkGetDeviceProcAddr(gpu.device, "vkGetPipelineExecutableStatisticsKHR");

    VkPhysicalDeviceSubgroupSizeControlProperties subgroups = {VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_PROPERTIES};
    VkPhysicalDeviceDriverProperties driver = {VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_DRIVER_PROPERTIES, &subgroups};
    VkPhysicalDeviceProperties2 properties = {VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2, &driver};
    vkGetPhysicalDeviceProperties2(physical, &properties);
    gpu.least_subgroup = subgroups.minSubgroupSize, gpu.largest_subgroup = subgroups.maxSubgroupSize;
    printf("{\"device\":\"%s\",\"driver\":\"%s\"}\n", properties.properties.deviceName, driver.driverInfo);
    return gpu;
}

static uint32_t *read_words(const char *path, size_t *bytes) {
    FILE *file = fopen(path, "rb");
    if (!file) {
        perror(path);
        exit(1);
    }
    fseek(file, 0, SEEK_END);
    *bytes = (size_t)ftell(file);
    rewind(file);
    uint32_t *words = malloc(*bytes);
    if (!words || fread(words, 1, *bytes, file) != *bytes) exit(1);
    fclose(file);
    return words;
}

static VkPipelineLayout layout_of(Gpu gpu, Shader shader, VkDescriptorSetLayout *set) {
    VkDescriptorSetLayoutBinding bindings[MOST_BINDINGS];
    uint32_t count = 0;
    if (shader.uniforms) bindings[count++] = (VkDescriptorSetLayoutBinding){0, VK_DESCRIPTOR_TYPE_UNIFORM_BUFFER, 1, VK_SHADER_STAGE_COMPUTE_BIT, 0};
    for (int i = 0; i < shader.storage && count < MOST_BINDINGS; i++)
        bindings[count++] = (VkDescriptorSetLayoutBinding){i + 1, VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, 1, VK_SHADER_STAGE_COMPUTE_BIT, 0};
    VkDescriptorSetLayoutCreateInfo set_info = {VK_STRUCTURE_TYPE_DESCRIPTOR_SET_LAYOUT_CREATE_INFO, .bindingCount = count, .pBindings = bindings};
    CHECK(vkCreateDescriptorSetLayout(gpu.device, &set_info, 0, set));
    VkPipelineLayoutCreateInfo info = {VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO, .setLayoutCount = 1, .pSetLayouts = set};
    VkPipelineLayout layout;
    CHECK(vkCreatePipelineLayout(gpu.device, &info, 0, &layout));
    return layout;
}

static void print_statistics(Gpu gpu, VkPipeline pipeline) {
    VkPipelineInfoKHR pipeline_info = {VK_STRUCTURE_TYPE_PIPELINE_INFO_KHR, .pipeline = pipeline};
    VkPipelineExecutablePropertiesKHR executable = {VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_PROPERTIES_KHR};
    uint32_t count = 1;
    gpu.executables(gpu.device, &pipeline_info, &count, &executable);
    if (count == 0) return;
    printf(",\"Subgroup size\":%u", executable.subgroupSize);
    VkPipelineExecutableInfoKHR info = {VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_INFO_KHR, .pipeline = pipeline};
    gpu.statistics(gpu.device, &info, &count, 0);
    VkPipelineExecutableStatisticKHR *statistics = calloc(count, sizeof *statistics);
    for (uint32_t i = 0; i < count; i++) statistics[i].sType = VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_STATISTIC_KHR;
    gpu.statistics(gpu.device, &info, &count, statistics);
    for (uint32_t i = 0; i < count; i++) {
        VkPipelineExecutableStatisticKHR s = statistics[i];
        if (s.format == VK_PIPELINE_EXECUTABLE_STATISTIC_FORMAT_UINT64_KHR) printf(",\"%s\":%llu", s.name, (unsigned long long)s.value.u64);
        else if (s.format == VK_PIPELINE_EXECUTABLE_STATISTIC_FORMAT_INT64_KHR) printf(",\"%s\":%lld", s.name, (long long)s.value.i64);
        else if (s.format == VK_PIPELINE_EXECUTABLE_STATISTIC_FORMAT_FLOAT64_KHR) printf(",\"%s\":%g", s.name, s.value.f64);
    }
    free(statistics);
}

static void compile(Gpu gpu, Shader shader) {
    printf("{\"name\":\"%s\"", shader.name);
    if ((shader.features >= 1 && !gpu.f16) || (shader.features == 2 && !gpu.matrix_units)) {
        printf(",\"lacks\":\"%s\"}\n", gpu.f16 ? "matrix units" : "f16");
        return;
    }
    if (shader.subgroup && (shader.subgroup < gpu.least_subgroup || shader.subgroup > gpu.largest_subgroup)) {
        printf(",\"lacks\":\"subgroups of %d\"}\n", shader.subgroup);
        return;
    }
    size_t bytes;
    uint32_t *words = read_words(shader.file, &bytes);
    VkShaderModuleCreateInfo module_info = {VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO, .codeSize = bytes, .pCode = words};
    VkShaderModule module;
    CHECK(vkCreateShaderModule(gpu.device, &module_info, 0, &module));
    VkDescriptorSetLayout set;
    VkPipelineLayout layout = layout_of(gpu, shader, &set);
    VkPipelineShaderStageRequiredSubgroupSizeCreateInfo size = {VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_REQUIRED_SUBGROUP_SIZE_CREATE_INFO, .requiredSubgroupSize = shader.subgroup};
    VkPipelineShaderStageCreateInfo stage = {VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO, shader.subgroup ? &size : 0, shader.subgroup ? 0 : VK_PIPELINE_SHADER_STAGE_CREATE_ALLOW_VARYING_SUBGROUP_SIZE_BIT, VK_SHADER_STAGE_COMPUTE_BIT, module, "main", 0};
    VkComputePipelineCreateInfo info = {VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO, .flags = VK_PIPELINE_CREATE_CAPTURE_STATISTICS_BIT_KHR, .stage = stage, .layout = layout};
    struct timespec start, end;
    VkPipeline pipeline;
    clock_gettime(CLOCK_MONOTONIC, &start);
    VkResult result = vkCreateComputePipelines(gpu.device, 0, 1, &info, 0, &pipeline);
    clock_gettime(CLOCK_MONOTONIC, &end);
    if (result == VK_SUCCESS) {
        printf(",\"milliseconds\":%.1f", (end.tv_sec - start.tv_sec) * 1e3 + (end.tv_nsec - start.tv_nsec) / 1e6);
        print_statistics(gpu, pipeline);
        vkDestroyPipeline(gpu.device, pipeline, 0);
    } else {
        printf(",\"error\":%d", result);
    }
    printf("}\n");
    vkDestroyPipelineLayout(gpu.device, layout, 0);
    vkDestroyDescriptorSetLayout(gpu.device, set, 0);
    vkDestroyShaderModule(gpu.device, module, 0);
    free(words);
}

int main(void) {
    Gpu gpu = open_gpu();
    Shader s;
    while (scanf("%255s %511s %d %d %d %d", s.name, s.file, &s.uniforms, &s.storage, &s.subgroup, &s.features) == 6) {
        compile(gpu, s);
        fflush(stdout);
    }
    return 0;
}
