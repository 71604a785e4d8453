// The device that the page computes on.

import { wordsOf } from './element';

export interface Opened {
    device: GPUDevice;
    name: string;
    /// Whether the browser computes in software what a GPU would.
    isSoftware: boolean;
}

/// A device, or why there is none: with WebGPU's default limits, and so much workgroup memory where the browser offers it.
export async function openDevice(gpu: GPU | undefined, workgroupBytes = 0): Promise<Opened | string> {
    if (!gpu) return 'it offers no WebGPU';
    try {
        const adapter = await gpu.requestAdapter({ powerPreference: 'high-performance' });
        if (!adapter) return 'its WebGPU finds no GPU';
        const isOffered = workgroupBytes > 0 && adapter.limits.maxComputeWorkgroupStorageSize >= workgroupBytes;
        const requiredLimits: Record<string, number> = isOffered ? { maxComputeWorkgroupStorageSize: workgroupBytes } : {};
        const device = await adapter.requestDevice({ requiredLimits });
        const { description, vendor, architecture, isFallbackAdapter } = adapter.info;
        const name = description || [vendor, architecture].filter(word => word).join(' ') || 'the GPU';
        return { device, name, isSoftware: isFallbackAdapter || /swiftshader|llvmpipe/i.test(name) };
    } catch (error) {
        return `its WebGPU opens no device (${wordsOf(error)})`;
    }
}
