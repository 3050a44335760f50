"""All between the networks and the command lines: camera, scene, media, weights, training."""
