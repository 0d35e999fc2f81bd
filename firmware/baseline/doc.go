// Package baseline says which firmware is good: rules per hardware class and
// model, versions put in order as their vendors write them, and the judgement of
// what a run found. It does no I/O and reads no YAML of its own: the types have
// the tags, the appliance decodes them strictly.
package baseline
