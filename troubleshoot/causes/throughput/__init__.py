"""An engine that gives fewer tokens than its hardware allows, or than clients ask for: one module a cause."""
