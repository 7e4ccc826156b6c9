"""Labels that students are taught: hard, static, dynamic or stored-ahead (fkd) labels."""
