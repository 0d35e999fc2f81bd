package agent

// WireInventory is what the agent sends of an inventory.
var WireInventory = inventory
