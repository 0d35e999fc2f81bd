// Package gpu reads what GPUs tell of their health: sysfs (amdgpu, i915, xe, nouveau,
// nvidia), the XML of nvidia-smi, the JSON of DCGM's diagnostic and that of rocm-smi.
// It judges nothing; the stage does. Whatever it reads is hostile input and bounded.
//
// The recorded outputs in testdata are of public sources, see testdata/README.md.
package gpu
