package smartctl

// Program runs any program.
var Program = program

// Loading is the command that runs a program of an overlay.
var Loading = loading
