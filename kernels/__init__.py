"""Point-cloud operators, one public function each, dispatched by the device of their arguments."""
